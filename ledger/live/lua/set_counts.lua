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
  set[#set + 1] = string.sub(stored, 1, RATE_BYTES) .. ARGV[i + 1] .. string.sub(stored, COUNTS_BYTES + 1)
end

-- One by one: `unpack` has a bound that many viewers pass.
for k = 1, #set do redis.call('HSET', KEYS[1], ARGV[2 * k - 1], set[k]) end
return #set
