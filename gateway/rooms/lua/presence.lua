-- Notes how many viewers of a room a gateway has, and adds up what the gateways noted lately.
--
-- KEYS    presence of one room
-- ARGV    1 gateway, 2 its viewers, 3 how long that counts, in ms
-- returns viewers of the room on all gateways

local call = redis.call
local gateway, count, life_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local stored, total, gone = call('HGETALL', KEYS[1]), count, {}
for i = 1, #stored, 2 do
  local viewers, until_ms = string.match(stored[i + 1], '^(%d+):(%d+)$')
  if stored[i] ~= gateway then
    if tonumber(until_ms) > now_ms then total = total + tonumber(viewers) else gone[#gone + 1] = stored[i] end
  end
end

if count == 0 then gone[#gone + 1] = gateway end
if #gone > 0 then call('HDEL', KEYS[1], unpack(gone)) end
if count > 0 then
  call('HSET', KEYS[1], gateway, string.format('%.0f:%.0f', count, now_ms + life_ms))
  call('PEXPIRE', KEYS[1], life_ms)
end
return total
