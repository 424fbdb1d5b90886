-- Pays for many gifts: for each partition reads and checks everything, then writes.
-- A gift is charged at most once for its id; gifts of a partition are judged in order, each as if alone.
-- The first that holds decides: the id is known (replay or conflict), its time is outside the window or ids of that time
-- were forgotten, the account is frozen, the viewer's age, the caller bars it, a cap of gift, day, week, month, the creator's cap of a day, too few coins,
-- the gift rate, a sum over its bound, too much that the books lack. Only accepted gifts are counted.
-- A gift that the viewer may undo is held instead of paid, unless too many are open or the viewer may have none for now;
-- undo_gift.lua and settle_gifts.lua end it. All diamonds of open gifts count in every sum, so that each can be paid.
--
-- KEYS    for each partition of the call: wallets, earnings, totals, combos, journal, guards, then its id buckets, then
--         given_today if the group has creators' caps, then open_gifts, undo_deadlines, undo_counts and windows_shut if
--         gifts of it may be undone
-- ARGV[1] msgpack {rules, groups}
--         rules = {window_ms, ahead_ms, time_s_max, unflushed_max, amount_max, caps of a viewer's gift, day, week and
--                  month (0 for none), rate_ms between gifts of a viewer (0 for no rate), burst_ms, ages_known,
--                  open gifts of a partition that may be undone}
--         group = one for each partition, in the order of KEYS; columns, since a table a gift costs more than its payment:
--           1 expiry in ms of each id bucket   2 viewers, each once   3 creators, each once   then one value a gift:
--           4 viewer (place in 2)   5 creator (place in 3)   6 coins   7 creator_diamonds   8 commission_diamonds
--           9 bucket (place in 1)   10 id_ms   11 id field (id and viewer)   12 id value (digest, coins)   13 body bytes
--           14 {} or for each gift its combo field, '' for none   15 combo_window_ms   16 count   17 whether an id occurs twice
--           18 {} or for each gift the status that bars it, 0 for none   19 {} or for each gift its field (viewer NUL
--           creator) of given_today, '' for none   20 coins that the viewer may give the creator in a day
--           21 {} or for each gift for how many ms it may be undone
-- ARGV[i + 1] bodies of the i-th group, one after the other
-- returns for each group {epoch, now_ms, seq of its last record, gifts judged, after, others, held}
--         after  = for each accepted gift, in order, 40 bytes: wallet, combo count, combo coins, combo id
--         others = for each judged gift that was not accepted: its place, status, wallet, and two values of its status
--         held   = for each gift that may be undone now: its place, until when
--         status 1 replay (coins first paid, until when it may be undone or 0), 2 insufficient, 3 conflict, 4 expired
--                (how old it may be, how far ahead), 5 overflow (the bound), 7 overloaded (records that the books may lack), 8 frozen (0, reason), 9 own gift,
--                10 barred, over the cap (cap, coins counted before) of a 11 gift, 12 day, 13 week, 14 month, 15 creator's day, 16 over the rate (ms to wait, 0),
--                17 to 20 by age
--         or an error FENCED: a partition of the call has no epoch or epoch 0; groups before it may have been paid

local REPLAY, INSUFFICIENT, CONFLICT, EXPIRED, OVERFLOW, OVERLOADED, RATE_LIMITED = 1, 2, 3, 4, 5, 7, 16
local GROUP_KEYS, WINDOW_KEYS = 6, 4
local NO_ID = string.rep('\0', 16)

local call, pack, unpack_values, sub = redis.call, struct.pack, struct.unpack, string.sub
local started = clock()
local request = cmsgpack.unpack(ARGV[1])
local window_ms, ahead_ms, time_s_max, unflushed_max, amount_max = unpack(request[1])
local operator_caps, rate_ms, burst_ms = {ages_known = request[1][12], unpack(request[1], 6, 9)}, unpack(request[1], 10, 11)
local open_gifts_max = request[1][13]
local always_guarded = operator_caps.ages_known or math.max(rate_ms, unpack(operator_caps)) > 0
local time = call('TIME')
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function pay_group(key_base, group, bodies)
  local expiries, viewers, creators, viewer_of, creator_of, coins_of, diamonds_of, commission_of, bucket_of, id_ms_of,
    id_fields, id_values, body_sizes, combo_fields, combo_windows, counts, has_twins, bars, given_fields, creator_caps,
    undo_of = unpack(group, 1, 21)
  local wallets_key, earnings_key, totals_key = KEYS[key_base + 1], KEYS[key_base + 2], KEYS[key_base + 3]
  local combos_key, journal_key, guards_key = KEYS[key_base + 4], KEYS[key_base + 5], KEYS[key_base + 6]
  local ids_key, given_key = key_base + GROUP_KEYS + 1, KEYS[key_base + GROUP_KEYS + #expiries + 1]
  local totals = call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'spent', 'earned', 'commission', 'flushed', 'held',
    'held_gifts')
  local epoch, seq, now_ms = tonumber(totals[1] or 0), tonumber(totals[2] or 0), tonumber(totals[3] or 0)
  if epoch < 1 then return nil end
  now_ms = math.max(time_ms, now_ms)
  local spent, earned, commission = tonumber(totals[4] or 0), tonumber(totals[5] or 0), tonumber(totals[6] or 0)
  local held, held_gifts = tonumber(totals[8] or 0), tonumber(totals[9] or 0)
  local bound, room_left = amount_max - DIAMONDS_PER_COIN * held_gifts, unflushed_max - (seq - tonumber(totals[7] or 0))
  local wallets, earnings = call('HMGET', wallets_key, unpack(viewers)), call('HMGET', earnings_key, unpack(creators))
  for v = 1, #viewers do wallets[v] = tonumber(wallets[v] or 0) end
  for c = 1, #creators do earnings[c] = tonumber(earnings[c] or 0) end
  local remembered, ttls, gone = read_ids(KEYS, ids_key, totals_key, expiries, bucket_of, id_fields)
  local combos = read_combos(combos_key, combo_fields)
  local guards, periods = read_guards(guards_key, viewers, operator_caps, always_guarded, now_ms)
  local given, given_fresh, today = {}, false, floor(now_ms / DAY_MS)
  if #given_fields > 0 then given, given_fresh = read_given(given_key, given_fields, today) end
  local windows_key = ids_key + #expiries + math.min(#given_fields, 1)
  local windows = #undo_of > 0 and open_windows(KEYS, windows_key, viewers, open_gifts_max, now_ms)

  local changed_wallets, changed_earnings, changed_combos, changed_given, twins = {}, {}, {}, {}, {}
  local paid, after, others, counted, judged = {}, {}, {}, {}, #coins_of
  local oldest_ms, newest_ms = now_ms - window_ms, now_ms + ahead_ms
  for i = 1, #coins_of do
    local viewer, creator, coins = viewer_of[i], creator_of[i], coins_of[i]
    local wallet, known, status, first, second = wallets[viewer], remembered[i], nil, nil, nil
    local guard, given_field = guards[viewer], given_fields[i]
    if has_twins and not known then known = twins[id_fields[i]] end
    if known then
      status = CONFLICT
      if sub(known, 1, 8) == sub(id_values[i], 1, 8) then status, first = REPLAY, unpack_values('>d', known, 9) end
      if status == REPLAY and windows then second = open_until(windows, id_fields[i]) end
    elseif id_ms_of[i] < oldest_ms or id_ms_of[i] > newest_ms or gone[bucket_of[i]] then
      status, first, second = EXPIRED, window_ms, ahead_ms
    elseif guard or given_field or bars[i] then
      status, first, second = forbidden(guard, bars[i], coins, given[given_field], creator_caps[i])
    end
    if status then -- decided above
    elseif wallet < coins then
      status = INSUFFICIENT
    elseif guard and rate_ms > 0 and wait_ms(guard, rate_ms, burst_ms, now_ms) > 0 then
      status, first = RATE_LIMITED, wait_ms(guard, rate_ms, burst_ms, now_ms)
    elseif earnings[creator] + diamonds_of[i] > bound or spent + coins > bound
        or earned + diamonds_of[i] > bound or commission + commission_of[i] > bound then
      status, first = OVERFLOW, amount_max
    elseif #paid >= room_left then
      status, first = OVERLOADED, unflushed_max
    elseif i % 16 == 0 and clock() - started > time_s_max then
      judged = i - 1
      break
    end
    if status then
      local n = #others
      others[n + 1], others[n + 2], others[n + 3], others[n + 4], others[n + 5] = i, status, wallet, first or 0, second or 0
    else
      wallet = wallet - coins
      wallets[viewer], changed_wallets[viewer] = wallet, true
      if windows and hold_gift(windows, i, id_fields[i], undo_of[i], viewer) then
        held, held_gifts, bound = held + coins, held_gifts + coins, bound - DIAMONDS_PER_COIN * coins
        counted[i] = (guard and 1 or 0) + (given[given_field] and 2 or 0)
      else
        earnings[creator], changed_earnings[creator] = earnings[creator] + diamonds_of[i], true
        spent, earned, commission = spent + coins, earned + diamonds_of[i], commission + commission_of[i]
      end
      paid[#paid + 1] = i
      if guard then count_gift(guard, coins, rate_ms, burst_ms, now_ms) end
      if given[given_field] then given[given_field], changed_given[given_field] = given[given_field] + coins, true end
      if has_twins then twins[id_fields[i]] = id_values[i] end
      local combo_field, n = combo_fields[i], #after
      if combo_field and combo_field ~= '' then
        local combo_id, count, combo_coins, stored =
          count_combo(combos[combo_field], sub(id_fields[i], 1, 16), counts[i], coins, combo_windows[i], now_ms)
        combos[combo_field], changed_combos[combo_field] = stored, true
        after[n + 1], after[n + 2], after[n + 3], after[n + 4] = wallet, count, combo_coins, combo_id
      else
        after[n + 1], after[n + 2], after[n + 3], after[n + 4] = wallet, 0, 0, NO_ID
      end
    end
  end
  if #paid == 0 then return {epoch, now_ms, seq, judged, '', others, {}} end

  -- From here on everything is written, and nothing may fail.
  seq = seq + #paid
  local packed = pack_after(after)
  if windows and #windows.held > 0 then
    local columns = {fields = id_fields, viewers = viewers, viewer_of = viewer_of, creators = creators,
      creator_of = creator_of, coins = coins_of, diamonds = diamonds_of, commission = commission_of, counted = counted}
    local plain
    bodies, plain = hold_bodies(bodies, body_sizes, paid, windows, undo_of)
    write_open(KEYS, windows, columns, plain)
    call('HSET', totals_key, 'held', held, 'held_gifts', held_gifts)
  elseif #paid < #coins_of then
    bodies = cut_bodies(bodies, body_sizes, paid)
  end
  write_changed(wallets_key, viewers, changed_wallets, wallets)
  if next(changed_earnings) then write_changed(earnings_key, creators, changed_earnings, earnings) end
  if next(changed_combos) then
    local args = {}
    for field in pairs(changed_combos) do args[#args + 1], args[#args + 2] = field, combos[field] end
    call('HSET', combos_key, unpack(args))
  end
  write_guards(guards_key, viewers, guards, changed_wallets, periods)
  if next(changed_given) then write_given(given_key, given, changed_given, given_fresh, today) end
  write_ids(KEYS, ids_key, totals_key, expiries, ttls, bucket_of, id_fields, id_values, paid, now_ms)
  call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms,
    'spent', spent, 'earned', earned, 'commission', commission)
  call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms, 'd', packed,
    'r', '\221' .. pack('>I4', #paid) .. bodies)
  return {epoch, now_ms, seq, judged, packed, others, windows and windows.held or {}}
end

-- The first group is always begun, so that even a call without any time judges some gifts.
local replies, key_base = {}, 0
for g, group in ipairs(request[2]) do
  if g > 1 and clock() - started > time_s_max then
    replies[g] = {0, 0, 0, 0, '', {}, {}}
  else
    replies[g] = pay_group(key_base, group, ARGV[g + 1])
    if not replies[g] then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
  end
  key_base = key_base + GROUP_KEYS + #group[1] + math.min(#group[19], 1)
    + (#group[21] > 0 and WINDOW_KEYS or 0)
end
return replies
