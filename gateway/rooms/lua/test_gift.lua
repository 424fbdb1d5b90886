-- Shows a gift that nobody paid, to try an overlay: it gets a place in the history and is in no total.
--
-- KEYS    1 meta, 2 history, 3 channel of one room
-- ARGV    1 head of a packed batch (array of four, room), 2 history_facts_max, 3 packed fact
-- returns {epoch, seq} of it

local call, pack = redis.call, struct.pack
local meta_key, history_key, channel = unpack(KEYS)
local head, facts_max, fact = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local meta = call('HMGET', meta_key, 'epoch', 'seq')
local epoch, seq = tonumber(meta[1] or 1), tonumber(meta[2] or 0) + 1

call('HSET', meta_key, 'epoch', epoch, 'seq', seq)
local batch = head .. '\207' .. pack('>I8', epoch) .. '\207' .. pack('>I8', seq) .. '\145' .. fact
call('XADD', history_key, string.format('%.0f-%.0f', epoch, seq), 'b', batch)
if seq > facts_max then
  call('XTRIM', history_key, 'MINID', '=', string.format('%.0f-%.0f', epoch, seq - facts_max + 1))
end
call('SPUBLISH', channel, batch)
return {epoch, seq}
