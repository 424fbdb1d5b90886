-- Sets what viewers of a partition have given creators with a cap of a day, as the books say it; what stands there of
-- another day goes. Only while the partition takes no gifts: one that comes in between would be forgotten by the count.
--
-- KEYS    given_today of the partition
-- ARGV[1] number of the day (UTC); then for each pair: viewer NUL creator, coins
-- returns how many pairs were set

if tonumber(redis.call('HGET', KEYS[1], 'day') or -1) ~= tonumber(ARGV[1]) then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], 'day', ARGV[1])
-- One by one: `unpack` has a bound that many pairs pass.
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return (#ARGV - 1) / 2
