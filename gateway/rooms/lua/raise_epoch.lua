-- Lets a room go on in a later epoch: no position that a client knows of an earlier one can be resumed from.
--
-- KEYS    meta of one room
-- ARGV    1 epoch
-- returns the epoch of the room

local epoch = tonumber(ARGV[1])
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)
if stored >= epoch then return stored end
redis.call('HSET', KEYS[1], 'epoch', epoch)
return epoch
