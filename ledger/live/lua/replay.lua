-- Brings records that the books have back into a partition that lost them: what they did to wallets, stripes, totals, ids
-- and combos, and the records themselves into the journal. Only the very next ones, into a partition that takes no orders.
--
-- KEYS    wallets, earnings, totals, combos, credits, reversals, journal, holds, hold_deadlines, hold_counts,
--         ended_holds, open_gifts, undo_deadlines, undo_counts, undone_gifts of one partition, then its id buckets
-- ARGV[1] msgpack {first_seq, last_seq, clock_ms, wallets, stripes, sums, expiries, sizes, holds, came_seq, gifts, begun}
--         wallets = {viewers, coins before, coins after}   stripes = {creators, diamonds}
--         sums    = for each total that rises: its name, by how much   expiries = in ms, of each id bucket
--         sizes   = how many words follow for: combos, credits, reversals, journal, each id bucket
--         holds   = in order, of each that begins: id field, viewer, value, deadline; of each that ends: id field, viewer,
--                   whether that is still to be remembered, how, coins taken, wallet after, time
--         came_seq = the last of them that is neither a gift nor a hold, 0 for none
--         gifts   = in order, of each that may be undone: id field, viewer, value, deadline; of each that ends: id field,
--                   viewer, and the value of an undone one that is still to be remembered
--         begun   = expiries of id buckets whose ids may be used still by the time of the last of these records
-- ARGV[2] and on: field and value of each combo, credit id and refund id; id, t, d, r of each journal entry; field and
--         value of each gift id, bucket by bucket
-- returns {status, seq of the partition, viewer, coins}: status 0 done; 1 the next record is another; 2 the partition takes
--         orders; 3 the viewer holds these coins and not those before

local DONE, OTHER_RECORD, OPEN, OTHER_WALLET = 0, 1, 2, 3
local FIXED_KEYS, BEGINS = 15, 4
local call = redis.call
local wallets_key, earnings_key, totals_key, combos_key, credits_key, reversals_key, journal_key, holds_key,
  deadlines_key, counts_key, ended_key, open_key, undo_deadlines_key, undo_counts_key, undone_key =
  unpack(KEYS, 1, FIXED_KEYS)
local first_seq, last_seq, clock_ms, wallets, stripes, sums, expiries, sizes, holds, came_seq, gifts, begun =
  unpack(cmsgpack.unpack(ARGV[1]))
local viewers, before, after = unpack(wallets)

local totals = call('HMGET', totals_key, 'epoch', 'seq', 'clock')
local seq = tonumber(totals[2] or 0)
if totals[1] ~= '0' then return {OPEN, seq, '', 0} end
if seq + 1 ~= first_seq then return {OTHER_RECORD, seq, '', 0} end
local held = call('HMGET', wallets_key, unpack(viewers))
for v = 1, #viewers do
  local coins = tonumber(held[v] or 0)
  if coins ~= before[v] then return {OTHER_WALLET, seq, viewers[v], coins} end
end
local ttls = {}
for b = 1, #expiries do ttls[b] = call('PTTL', KEYS[FIXED_KEYS + b]) end
local gone = gone_buckets(totals_key, expiries, ttls)

-- From here on everything is written, and nothing may fail.
local next_word = 2
local function take(size)
  local words = {unpack(ARGV, next_word, next_word + size - 1)}
  next_word = next_word + size
  return words
end
local function put(key, size)
  if size > 0 then call('HSET', key, unpack(take(size))) end
end

local changed = {}
for v = 1, #viewers do changed[2 * v - 1], changed[2 * v] = viewers[v], after[v] end
call('HSET', wallets_key, unpack(changed))
for c = 1, #stripes[1] do call('HINCRBY', earnings_key, stripes[1][c], string.format('%.0f', stripes[2][c])) end
for s = 1, #sums, 2 do call('HINCRBY', totals_key, sums[s], string.format('%.0f', sums[s + 1])) end
clock_ms = math.max(clock_ms, tonumber(totals[3] or 0))
call('HSET', totals_key, 'seq', last_seq, 'flushed', last_seq, 'clock', clock_ms)
if #begun > 0 then note_begun(totals_key, begun, clock_ms) end
if came_seq > 0 then call('HSET', totals_key, 'came_seq', came_seq) end
put(combos_key, sizes[1])
put(credits_key, sizes[2])
put(reversals_key, sizes[3])
for _, step in ipairs(holds) do
  local field, viewer, value_or_kept, deadline_or_how = unpack(step)
  if #step == BEGINS then
    call('HSET', holds_key, field, value_or_kept)
    call('ZADD', deadlines_key, deadline_or_how, field)
    call('HINCRBY', counts_key, viewer, 1)
  else
    local begun = call('HGET', holds_key, field)
    if begun and value_or_kept then
      call('HSET', ended_key, field, struct.pack('>Bddd', unpack(step, BEGINS)) .. begun)
    end
    call('HDEL', holds_key, field)
    call('ZREM', deadlines_key, field)
    if call('HINCRBY', counts_key, viewer, -1) < 1 then call('HDEL', counts_key, viewer) end
  end
end
for _, step in ipairs(gifts) do
  local field, viewer, value, until_ms = unpack(step)
  if #step == BEGINS then
    call('HSET', open_key, field, value)
    call('ZADD', undo_deadlines_key, until_ms, field)
    call('HINCRBY', undo_counts_key, viewer, 1)
  else
    if value then call('HSET', undone_key, field, value) end
    call('HDEL', open_key, field)
    call('ZREM', undo_deadlines_key, field)
    if call('HINCRBY', undo_counts_key, viewer, -1) < 1 then call('HDEL', undo_counts_key, viewer) end
  end
end
local entries = take(sizes[4])
for e = 1, #entries, 4 do
  call('XADD', journal_key, entries[e], 't', entries[e + 1], 'd', entries[e + 2], 'r', entries[e + 3])
end
for b = 1, #expiries do
  local key, ids = KEYS[FIXED_KEYS + b], take(sizes[4 + b])
  -- In a bucket that was forgotten before its time these would hide that others are missing.
  if not gone[b] then
    call('HSET', key, unpack(ids))
    call('PEXPIREAT', key, expiries[b])
  end
end
return {DONE, last_seq, '', 0}
