-- Puts coins of one wallet aside, once for this id: a hold, which end_hold.lua ends. Judged as a gift is (a known id first,
-- then a frozen account, the viewer's age, the caps of gift, day, week and month, too few coins), then the bounds of open
-- holds and of the journal. Coins that are held count for the caps.
--
-- KEYS    wallets, totals, guards, holds, hold_deadlines, hold_counts, ended_holds, journal of the viewer's partition
-- ARGV    1 id field (id and viewer), 2 digest (8 bytes), 3 viewer, 4 coins, 5 ms that it lasts, 6 body,
--         7 time in ms until which an id that was not flushed is still known here,
--         8 most open holds of the viewer, 9 of the partition, 10 most records that the books may lack,
--         11 to 14 the operator's caps of gift, day, week and month (0 for none), 15 reference,
--         16 whether everybody's coins are counted (1 or 0), 17 whether ages must be known (1 or 0)
-- returns {status, wallet after, when it expires (of a refusal the time), two values of the status}
--         status 0 accepted, 1 replay, 3 conflict, 6 late, 30 too many open holds of the viewer (as many as it may have,
--                0), 31 of the partition (the same), and the others of gift.lua; or an error FENCED when the partition has no epoch or epoch 0

local ACCEPTED, REPLAY, INSUFFICIENT, CONFLICT, LATE, OVERLOADED, VIEWER_FULL, FULL = 0, 1, 2, 3, 6, 7, 30, 31
local ENDED_BYTES = 25 -- of an ended hold: how, coins taken, wallet after, time; behind them it is as it was while open
local NO_ID = string.rep('\0', 16)
local call, pack, unpack_values = redis.call, struct.pack, struct.unpack
local wallets_key, totals_key, guards_key, holds_key, deadlines_key, counts_key, ended_key, journal_key = unpack(KEYS)
local field, digest, viewer, coins, lasts_ms, body = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local operator_caps = {tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])}
operator_caps.ages_known = ARGV[17] == '1'

local known = call('HGET', holds_key, field)
if not known then
  known = call('HGET', ended_key, field)
  known = known and string.sub(known, ENDED_BYTES + 1)
end
if known then
  if string.sub(known, 1, 8) ~= digest then return {CONFLICT, 0, 0, 0, 0} end
  local wallet, expires_ms = unpack_values('>dd', known, 9)
  return {REPLAY, wallet, expires_ms, 0, 0}
end
local time = call('TIME')
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[7]) then return {LATE, 0, 0, 0, 0} end
local totals = call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'held', 'flushed')
local epoch, seq, held = tonumber(totals[1] or 0), tonumber(totals[2] or 0) + 1, tonumber(totals[4] or 0) + coins
if epoch < 1 then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
local now_ms = math.max(time_ms, tonumber(totals[3] or 0))
local wallet = tonumber(call('HGET', wallets_key, viewer) or 0)
local guards, periods = read_guards(guards_key, {viewer}, operator_caps, ARGV[16] == '1', now_ms)
local guard = guards[1]
if guard then
  local status, first, second = forbidden(guard, nil, coins)
  if status then return {status, wallet, now_ms, first or 0, second or 0} end
end
if wallet < coins then return {INSUFFICIENT, wallet, 0, 0, 0} end
local mine = tonumber(call('HGET', counts_key, viewer) or 0) + 1
if mine > tonumber(ARGV[8]) then return {VIEWER_FULL, wallet, 0, tonumber(ARGV[8]), 0} end
if call('HLEN', holds_key) >= tonumber(ARGV[9]) then return {FULL, wallet, 0, tonumber(ARGV[9]), 0} end
if seq - 1 - tonumber(totals[5] or 0) >= tonumber(ARGV[10]) then return {OVERLOADED, wallet, 0, tonumber(ARGV[10]), 0} end
wallet = wallet - coins
local expires_ms = now_ms + lasts_ms

-- From here on everything is written, and nothing may fail.
call('HSET', wallets_key, viewer, wallet)
if guard then
  count_gift(guard, coins, 0, 0, now_ms)
  call('HSET', guards_key, viewer, pack_guard(guard, periods))
end
call('HSET', holds_key, field, digest .. pack('>ddddB', wallet, expires_ms, coins, now_ms, guard and 1 or 0) .. ARGV[15])
call('ZADD', deadlines_key, expires_ms, field)
call('HSET', counts_key, viewer, mine)
call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms, 'held', held)
call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms,
  'd', pack('>dddc16', wallet, 0, 0, NO_ID), 'r', '\145' .. body)
return {ACCEPTED, wallet, expires_ms, 0, 0}
