-- Keeps how far the screens of one overlay token have shown a room; it only goes forward.
--
-- KEYS    the ack of one token in one room
-- ARGV    1 epoch, 2 seq, 3 how long it is kept, in ms
-- returns 1 when it was kept, 0 when a position as far was known; known ones are kept longer too

local epoch, seq, life_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local known = redis.call('GET', KEYS[1])
if known then
  local known_epoch, known_seq = string.match(known, '^(%d+)-(%d+)$')
  known_epoch, known_seq = tonumber(known_epoch), tonumber(known_seq)
  if known_epoch > epoch or (known_epoch == epoch and known_seq >= seq) then
    redis.call('PEXPIRE', KEYS[1], life_ms)
    return 0
  end
end
redis.call('SET', KEYS[1], string.format('%.0f-%.0f', epoch, seq), 'PX', life_ms)
return 1
