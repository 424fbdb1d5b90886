-- Ends one hold, once: some or all of its coins are taken, the others go back into the wallet. From its deadline on it can
-- only expire, whoever asks and whatever for. Coins that go back are given back to the counts of the day, the week and the
-- month in which they were held, where those have not ended and they were counted.
--
-- KEYS    wallets, totals, guards, holds, hold_deadlines, hold_counts, ended_holds, journal of the viewer's partition
-- ARGV    1 id field (id and viewer), 2 viewer, 3 how: 1 settle, 2 void, 3 expire, 4 coins to take, -1 for all,
--         5 body up to its coins, 6 to 8 the body's word for each way to end
-- returns {status, how, coins held, coins taken, wallet after, time}: status 0 ended now, 1 had ended (how and with what),
--         2 no such hold, 3 it holds fewer coins, 4 not due yet; an error FENCED when the partition has no epoch or epoch 0

local ENDED, HAD_ENDED, UNKNOWN, TOO_MANY, NOT_DUE = 0, 1, 2, 3, 4
local SETTLE, EXPIRE = 1, 3
local NO_ID = string.rep('\0', 16)
local call, pack, unpack_values = redis.call, struct.pack, struct.unpack
local wallets_key, totals_key, guards_key, holds_key, deadlines_key, counts_key, ended_key, journal_key = unpack(KEYS)
local field, viewer, how, taken, body = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local stored = call('HGET', holds_key, field)
if not stored then
  local ended = call('HGET', ended_key, field)
  if ended then
    local ended_how, ended_taken, wallet, at_ms, _, _, _, coins = unpack_values('>Bdddc8ddd', ended)
    return {HAD_ENDED, ended_how, coins, ended_taken, wallet, at_ms}
  end
end
local totals = call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'held', 'charged')
local epoch, seq = tonumber(totals[1] or 0), tonumber(totals[2] or 0) + 1
if epoch < 1 then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
if not stored then return {UNKNOWN, 0, 0, 0, 0, 0} end
local time = call('TIME')
local now_ms = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(totals[3] or 0))
local _, expires_ms, coins, begun_ms, counted = unpack_values('>ddddB', stored, 9)
if now_ms >= expires_ms then
  how = EXPIRE
elseif how == EXPIRE then
  return {NOT_DUE, 0, coins, 0, 0, 0}
end
if how ~= SETTLE then taken = 0 elseif taken < 0 then taken = coins end
if taken > coins then return {TOO_MANY, 0, coins, 0, 0, 0} end
local back = coins - taken
local wallet = tonumber(call('HGET', wallets_key, viewer) or 0) + back
local mine = tonumber(call('HGET', counts_key, viewer) or 0) - 1
local guard = counted == 1 and back > 0 and call('HGET', guards_key, viewer)

-- From here on everything is written, and nothing may fail.
call('HSET', wallets_key, viewer, wallet)
if guard then call('HSET', guards_key, viewer, counts_without(guard, back, begun_ms)) end
call('HDEL', holds_key, field)
call('ZREM', deadlines_key, field)
if mine > 0 then call('HSET', counts_key, viewer, mine) else call('HDEL', counts_key, viewer) end
call('HSET', ended_key, field, pack('>Bddd', how, taken, wallet, now_ms) .. stored)
call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms, 'came_seq', seq,
  'held', tonumber(totals[4] or 0) - coins, 'charged', tonumber(totals[5] or 0) + taken)
call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms,
  'd', pack('>dddc16', wallet, 0, 0, NO_ID),
  'r', '\145' .. body .. cmsgpack.pack(coins) .. ARGV[5 + how] .. cmsgpack.pack(taken))
return {ENDED, how, coins, taken, wallet, now_ms}
