-- Puts coins into one wallet, once for this id. An id that is not known any more may have been forgotten: who asks late is
-- sent back to look into PostgreSQL once more.
--
-- KEYS    wallets, totals, credits, journal of the viewer's partition
-- ARGV    1 id (16 bytes), 2 digest (8 bytes), 3 viewer, 4 coins, 5 body, 6 amount_max,
--         7 time in ms until which an id that was not flushed is still known here
-- returns {status, wallet after}: status 0 accepted, 1 replay, 3 conflict, 5 overflow, 6 late; an error FENCED when the
--         partition has no epoch or epoch 0

local ACCEPTED, REPLAY, CONFLICT, OVERFLOW, LATE = 0, 1, 3, 5, 6
local NO_ID = string.rep('\0', 16)
local wallets_key, totals_key, credits_key, journal_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, digest, viewer, coins, body, amount_max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

local known = redis.call('HGET', credits_key, id)
if known then
  if string.sub(known, 1, 8) == digest then return {REPLAY, (struct.unpack('>d', known, 9))} end
  return {CONFLICT, 0}
end
local time = redis.call('TIME')
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if time_ms > tonumber(ARGV[7]) then return {LATE, 0} end
local totals = redis.call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'coins_in')
local epoch, seq = tonumber(totals[1] or 0), tonumber(totals[2] or 0) + 1
if epoch < 1 then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
local now_ms = math.max(time_ms, tonumber(totals[3] or 0))
local coins_in = tonumber(totals[4] or 0) + coins
local wallet = tonumber(redis.call('HGET', wallets_key, viewer) or 0) + coins
if wallet > amount_max or coins_in > amount_max then return {OVERFLOW, 0} end

redis.call('HSET', wallets_key, viewer, wallet)
redis.call('HSET', credits_key, id, digest .. struct.pack('>d', wallet))
redis.call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms, 'coins_in', coins_in,
  'came_seq', seq)
redis.call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms,
  'd', struct.pack('>dddc16', wallet, 0, 0, NO_ID), 'r', '\145' .. body)
return {ACCEPTED, wallet}
