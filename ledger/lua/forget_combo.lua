-- Forgets a combo whose end has been told, unless a new one has taken its place.
--
-- KEYS    combos of the viewer's partition
-- ARGV    1 viewer NUL combo key, 2 combo id (16 bytes)
-- returns 1 when it was forgotten, else 0

local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.sub(stored, 1, 16) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
