-- Stands in front of reverse.lua and undo_gift.lua: until when a viewer's gifts are paid at once, without a window.

local PRUNED_EVERY = 256 -- names in the hash; what is over is dropped then, so that it does not grow for ever

-- Whether they are no longer shut at a time.
local function windows_open_by(key, viewer, at_ms)
  return tonumber(redis.call('HGET', key, viewer) or 0) <= at_ms
end

local function shut_windows(key, viewer, until_ms, now_ms)
  local stored = tonumber(redis.call('HGET', key, viewer) or 0)
  redis.call('HSET', key, viewer, string.format('%.0f', math.max(stored, until_ms)))
  if stored > 0 or redis.call('HLEN', key) % PRUNED_EVERY > 0 then return end
  local over, known = {}, redis.call('HGETALL', key)
  for i = 1, #known, 2 do
    if tonumber(known[i + 1]) <= now_ms and #over < PRUNED_EVERY then over[#over + 1] = known[i] end
  end
  if #over > 0 then redis.call('HDEL', key, unpack(over)) end
end
