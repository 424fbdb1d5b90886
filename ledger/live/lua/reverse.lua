-- Takes coins of a refund or charge-back from one wallet, once for this id: as many as it has above what it must keep.
-- An id that is not known any more may have been forgotten: who asks late has to look into PostgreSQL once more.
-- Nothing is taken while the viewer may undo a gift, and until this is asked again no more such gifts are taken from it:
-- their coins would be in nobody's hands.
--
-- KEYS    wallets, totals, reversals, journal, undo_counts, windows_shut of the viewer's partition
-- ARGV    1 id (16 bytes), 2 digest (8 bytes), 3 viewer, 4 the most coins to take, 5 what the wallet keeps (below zero: how
--         far it may owe), 6 body without its last value, which is what was taken,
--         7 time in ms until which an id that was not flushed is still known here,
--         8 the partition's came_seq when it was worked out what the wallet gives; empty where that does not matter,
--         9 for how many ms the viewer's gifts are paid at once when this has to wait
-- returns {status, wallet after, coins taken}: status 0 accepted, 1 replay, 3 conflict, 6 late (also when coins came since
--         then), 32 to wait (for so many gifts, 0); an error FENCED when the partition has no epoch or epoch 0

local ACCEPTED, REPLAY, CONFLICT, LATE, WAITS = 0, 1, 3, 6, 32
local NO_ID = string.rep('\0', 16)
local wallets_key, totals_key, reversals_key, journal_key, undo_counts_key, shut_key = unpack(KEYS)
local id, digest, viewer, most, keep, body = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

local known = redis.call('HGET', reversals_key, id)
if known then
  if string.sub(known, 1, 8) ~= digest then return {CONFLICT, 0, 0} end
  local wallet, taken = struct.unpack('>dd', known, 9)
  return {REPLAY, wallet, taken}
end
local time = redis.call('TIME')
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[7]) then return {LATE, 0, 0} end
local totals = redis.call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'reversed', 'came_seq')
local epoch, seq = tonumber(totals[1] or 0), tonumber(totals[2] or 0) + 1
if epoch < 1 then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
local now_ms = math.max(time_ms, tonumber(totals[3] or 0))
local open_gifts = tonumber(redis.call('HGET', undo_counts_key, viewer) or 0)
if open_gifts > 0 then
  shut_windows(shut_key, viewer, now_ms + ARGV[9], now_ms)
  return {WAITS, open_gifts, 0}
end
if ARGV[8] ~= '' and tonumber(totals[5] or totals[2] or 0) ~= tonumber(ARGV[8]) then return {LATE, 0, 0} end
local wallet = tonumber(redis.call('HGET', wallets_key, viewer) or 0)
local taken = math.max(0, math.min(most, wallet - keep))
local reversed = tonumber(totals[4] or 0) + taken
wallet = wallet - taken

redis.call('HSET', wallets_key, viewer, wallet)
if windows_open_by(shut_key, viewer, now_ms + ARGV[9]) then redis.call('HDEL', shut_key, viewer) end
redis.call('HSET', reversals_key, id, digest .. struct.pack('>dd', wallet, taken))
redis.call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms, 'reversed', reversed,
  'came_seq', seq)
redis.call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms,
  'd', struct.pack('>dddc16', wallet, 0, 0, NO_ID), 'r', '\145' .. body .. cmsgpack.pack(taken))
return {ACCEPTED, wallet, taken}
