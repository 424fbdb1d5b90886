-- Sets what viewers of a partition have spent, as the books say it. Freezes and caps stay, and so does the gift rate.
-- Only while the partition takes no gifts: one that comes in between would be forgotten by the count.
--
-- KEYS    guards of the partition
-- ARGV    for each viewer: viewer, 48 bytes (day, week and month, each with its coins) as parts/guards.lua reads them
-- returns how many were set

local COUNTS_BYTES, RATE_BYTES = 56, 8
local NO_COUNTS = string.rep('\0', COUNTS_BYTES)
local set = {}
for i = 1, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i]) or NO_COUNTS
  set[i] = ARGV[i]
  set[i + 1] = string.sub(stored, 1, RATE_BYTES) .. ARGV[i + 1] .. string.sub(stored, COUNTS_BYTES + 1)
end

if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
return #set / 2
