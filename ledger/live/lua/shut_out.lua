-- Lets no order in on a server that was promoted, until a repair has begun a new epoch; nothing if one has already.
--
-- KEYS    deployment, then totals of each partition
-- ARGV    1 the server that was noted when it was found to be another
-- returns 1 when orders are shut out now, 0 when another server is noted

if redis.call('HGET', KEYS[1], 'server') ~= ARGV[1] then return 0 end
for k = 2, #KEYS do redis.call('HSET', KEYS[k], 'epoch', 0) end
return 1
