-- Forgets combos whose ends have been told, except where a new one has taken the place.
--
-- KEYS    combos of the viewer's partition, for each combo
-- ARGV    for each combo: viewer NUL combo key, combo id (16 bytes)
-- returns how many were forgotten

local ended = {}
for i = 1, #KEYS do
  local stored = redis.call('HGET', KEYS[i], ARGV[2 * i - 1])
  if stored and string.sub(stored, 1, 16) == ARGV[2 * i] then ended[#ended + 1] = i end
end

local forgotten = 0
for _, i in ipairs(ended) do forgotten = forgotten + redis.call('HDEL', KEYS[i], ARGV[2 * i - 1]) end
return forgotten
