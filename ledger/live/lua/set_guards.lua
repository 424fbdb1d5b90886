-- Sets what operators and viewers decided about viewers: freezes and caps. What was counted stays as it is, and older
-- settings than those that are there are passed over, so that they may be told late and more than once.
--
-- KEYS    guards of the viewer's partition, for each viewer
-- ARGV    for each viewer: viewer, settings as parts/guards.lua reads them (they begin with their version)
-- returns how many were set

local COUNTS_BYTES = 56
local NO_COUNTS = string.rep('\0', COUNTS_BYTES)
local set = {}
for i = 1, #KEYS do
  local viewer, settings = ARGV[2 * i - 1], ARGV[2 * i]
  local stored = redis.call('HGET', KEYS[i], viewer) or NO_COUNTS
  if #stored == COUNTS_BYTES or struct.unpack('>d', stored, COUNTS_BYTES + 1) <= struct.unpack('>d', settings) then
    set[#set + 1] = {KEYS[i], viewer, string.sub(stored, 1, COUNTS_BYTES) .. settings}
  end
end

for _, one in ipairs(set) do redis.call('HSET', one[1], one[2], one[3]) end
return #set
