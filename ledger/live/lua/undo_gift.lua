-- Undoes one gift, once: its coins go back into the wallet, and out of the counts of the day, the week, the month and the
-- creator's day in which it was given, where those have not ended and counted it. From its deadline on it is paid
-- instead, by whoever asks. Who has taken one back is given no window for a while: a gift is seen by everybody at once, and
-- to show and undo it again and again would cost nothing.
--
-- KEYS    wallets, earnings, totals, guards, given_today, open_gifts, undo_deadlines, undo_counts, undone_gifts, journal
--         of the viewer's partition, then the bucket that the gift's id is remembered in, windows_shut
-- ARGV    1 id field (id and viewer), 2 viewer, 3 for how many ms the viewer's gifts are paid at once from now on, 0 for none
-- returns {status, coins, wallet after, time}: status 0 undone now, 1 had been undone, 2 it is paid, 3 no such gift is
--         known here; an error FENCED when the partition has no epoch or epoch 0

local DONE, HAD_BEEN, PAID, NO_SUCH_GIFT = 0, 1, 2, 3
local BY_CAPS, BY_CREATORS_CAP = 1, 2
local call, pack = redis.call, struct.pack
local wallets_key, _, totals_key, guards_key, given_key, open_key, _, _, undone_key, journal_key = unpack(KEYS)
local field, viewer = ARGV[1], ARGV[2]

local stored = call('HGET', open_key, field)
if not stored then
  local undone = call('HGET', undone_key, field)
  if undone then
    local coins, wallet, at_ms = struct.unpack('>ddd', undone)
    return {HAD_BEEN, coins, wallet, at_ms}
  end
  if call('HEXISTS', KEYS[11], field) == 1 then return {PAID, 0, 0, 0} end
end
local totals = read_totals(totals_key)
if not totals then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
if not stored then return {NO_SUCH_GIFT, 0, 0, 0} end
local gift, now_ms = read_gift(stored), totals.clock
if now_ms >= gift.until_ms then
  settle(KEYS, totals, {field}, {gift})
  return {PAID, 0, 0, 0}
end
local coins, wallet = gift.coins, tonumber(call('HGET', wallets_key, viewer) or 0) + gift.coins
local guard = gift.counted % 2 == BY_CAPS and call('HGET', guards_key, viewer)
local given_field = viewer .. '\0' .. gift.creator
local given = gift.counted >= BY_CREATORS_CAP and call('HMGET', given_key, 'day', given_field)

-- From here on everything is written, and nothing may fail.
totals.seq = totals.seq + 1
call('HSET', wallets_key, viewer, wallet)
if guard then call('HSET', guards_key, viewer, counts_without(guard, coins, gift.given_ms)) end
if given and tonumber(given[1] or -1) == floor(gift.given_ms / DAY_MS) then
  call('HSET', given_key, given_field, math.max(0, tonumber(given[2] or 0) - coins))
end
close_gifts(KEYS, {field}, {[viewer] = 1})
if tonumber(ARGV[3]) > 0 then shut_windows(KEYS[12], viewer, now_ms + ARGV[3], now_ms) end
call('HSET', undone_key, field, pack('>ddd', coins, wallet, now_ms))
call('HSET', totals_key, 'epoch', totals.epoch, 'seq', totals.seq, 'clock', now_ms, 'came_seq', totals.seq,
  'held', totals.held - coins, 'held_gifts', totals.held_gifts - coins)
write_journal(journal_key, totals, {pack('>dddc16', wallet, 0, 0, NO_ID)}, {UNDONE .. gift.body})
return {DONE, coins, wallet, now_ms}
