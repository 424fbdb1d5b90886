-- Tells a room that a combo has ended, once: the end that was made ahead, if that combo is still open.
--
-- KEYS    1 meta, 2 history, 3 combos, 4 channel of one room
-- ARGV    1 combo field, 2 combo id (16 bytes), 3 head of a packed batch (array of four, room), 4 epoch,
--         5 history_facts_max
-- returns seq of the end; 0 when that combo is not open

local call, pack = redis.call, struct.pack
local meta_key, history_key, combos_key, channel = unpack(KEYS)
local field, combo_id, head, epoch, facts_max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local open = call('HGET', combos_key, field)
if not open or string.sub(open, 1, 16) ~= combo_id then return 0 end
local meta = call('HMGET', meta_key, 'epoch', 'seq')
epoch = math.max(epoch, tonumber(meta[1] or 0))
local seq = tonumber(meta[2] or 0) + 1

call('HDEL', combos_key, field)
call('HSET', meta_key, 'epoch', epoch, 'seq', seq)
local batch = head .. '\207' .. pack('>I8', epoch) .. '\207' .. pack('>I8', seq) .. '\145' .. string.sub(open, 17)
call('XADD', history_key, string.format('%.0f-%.0f', epoch, seq), 'b', batch)
if seq > facts_max then
  call('XTRIM', history_key, 'MINID', '=', string.format('%.0f-%.0f', epoch, seq - facts_max + 1))
end
call('SPUBLISH', channel, batch)
return seq
