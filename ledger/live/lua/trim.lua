-- Drops journal records that PostgreSQL holds and the rooms were told of, and notes how far PostgreSQL is.
--
-- KEYS    journal, totals of one partition
-- ARGV    1 epoch and 2 seq of the last record that may go, 3 seq of the last record that PostgreSQL holds
-- returns how many journal entries went

local epoch, seq, flushed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if flushed > tonumber(redis.call('HGET', KEYS[2], 'flushed') or 0) then
  redis.call('HSET', KEYS[2], 'flushed', flushed)
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-%.0f', epoch, seq + 1))
