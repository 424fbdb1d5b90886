-- Pays for many gifts: for each partition reads and checks everything, then writes.
-- A gift is charged at most once for its id; gifts of one call are judged in order, each as if alone.
--
-- KEYS    for each partition of the call: wallets, earnings, totals, combos, journal, then its id buckets
-- ARGV[1] msgpack {rules, groups}
--         rules  = {window_ms, ahead_ms, time_s_max, unflushed_max, amount_max}
--         groups = {{bucket expiry in ms, …}, {gift, …}} for each partition, in the order of KEYS
--         gift   = {viewer, creator, coins, creator_diamonds, commission_diamonds, bucket (1, 2, …), id_ms,
--                   combo_key, combo_window_ms}
-- ARGV[2i], ARGV[2i+1] of the i-th gift of the call: id (16 bytes) and digest (8 bytes); body
-- returns {now_ms, {epoch of each partition, …}, outcomes}; an outcome is 49 bytes:
--         status, wallet, seq (coins first paid, on a replay), combo count, combo coins, combo id
--         status 0 accepted, 1 replay, 2 insufficient, 3 conflict, 4 expired, 5 overflow, 6 not judged, 7 overloaded

local ACCEPTED, REPLAY, INSUFFICIENT, CONFLICT, EXPIRED, OVERFLOW, NOT_JUDGED, OVERLOADED = 0, 1, 2, 3, 4, 5, 6, 7
local GROUP_KEYS = 5
local NO_ID = string.rep('\0', 16)

local call, pack, unpack_values, clock = redis.call, struct.pack, struct.unpack, os.clock
local started = clock()
local request = cmsgpack.unpack(ARGV[1])
local window_ms, ahead_ms, time_s_max, unflushed_max, amount_max = unpack(request[1])
local time = call('TIME')
local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local outcomes, epochs, key_base, arg = {}, {}, 0, 2

local function refuse(status, wallet)
  outcomes[#outcomes + 1] = pack('>Bddddc16', status, wallet or 0, 0, 0, 0, NO_ID)
end

-- Reads fields of a hash once each: numbers[field] = value or 0.
local function read_numbers(key, gifts, column)
  local fields, numbers = {}, {}
  for i = 1, #gifts do
    local field = gifts[i][column]
    if not numbers[field] then
      numbers[field] = 0
      fields[#fields + 1] = field
    end
  end
  local values = call('HMGET', key, unpack(fields))
  for i = 1, #fields do numbers[fields[i]] = tonumber(values[i] or 0) end
  return numbers
end

-- Reads what is remembered of the ids: remembered[id field] = digest and coins, or false.
local function read_ids(gifts, bucket_count, first_arg)
  local fields, remembered = {}, {}
  for b = 1, bucket_count do fields[b] = {} end
  for i = 1, #gifts do
    local field = string.sub(ARGV[first_arg + 2 * (i - 1)], 1, 16) .. gifts[i][1]
    local bucket = fields[gifts[i][6]]
    bucket[#bucket + 1] = field
    gifts[i].id_field = field
  end
  for b = 1, bucket_count do
    local values = call('HMGET', KEYS[key_base + GROUP_KEYS + b], unpack(fields[b]))
    for i = 1, #fields[b] do remembered[fields[b][i]] = values[i] end
  end
  return remembered
end

local function read_combos(key, gifts)
  local fields, combos = {}, {}
  for i = 1, #gifts do
    if gifts[i][8] ~= '' then
      gifts[i].combo_field = gifts[i][1] .. '\0' .. gifts[i][8]
      fields[#fields + 1] = gifts[i].combo_field
    end
  end
  if #fields > 0 then
    local values = call('HMGET', key, unpack(fields))
    for i = 1, #fields do combos[fields[i]] = values[i] end
  end
  return combos
end

-- The combo that this gift opens or carries on: id, count, coins, and the value to store.
local function count_combo(combos, gift, id, now_ms)
  local combo_id, count, coins = id, 1, gift[3]
  local stored = combos[gift.combo_field]
  if stored then
    local stored_count, stored_coins, deadline_ms = unpack_values('>ddd', stored, 17)
    if now_ms <= deadline_ms then
      combo_id, count, coins = string.sub(stored, 1, 16), stored_count + 1, stored_coins + gift[3]
    end
  end
  combos[gift.combo_field] = combo_id .. pack('>ddd', count, coins, now_ms + gift[9])
  return combo_id, count, coins
end

local function pay_group(expiries, gifts)
  local wallets_key, earnings_key, totals_key = KEYS[key_base + 1], KEYS[key_base + 2], KEYS[key_base + 3]
  local combos_key, journal_key = KEYS[key_base + 4], KEYS[key_base + 5]
  local totals = call('HMGET', totals_key, 'epoch', 'seq', 'clock', 'spent', 'earned', 'commission', 'flushed')
  local epoch, seq = tonumber(totals[1] or 1), tonumber(totals[2] or 0)
  local now_ms = math.max(time_ms, tonumber(totals[3] or 0))
  local spent, earned, commission = tonumber(totals[4] or 0), tonumber(totals[5] or 0), tonumber(totals[6] or 0)
  local room_left = unflushed_max - (seq - tonumber(totals[7] or 0))
  epochs[#epochs + 1] = epoch

  local first_arg = arg
  arg = arg + 2 * #gifts
  local wallets, earnings = read_numbers(wallets_key, gifts, 1), read_numbers(earnings_key, gifts, 2)
  local remembered, combos = read_ids(gifts, #expiries, first_arg), read_combos(combos_key, gifts)

  local new_ids, new_wallets, new_earnings, new_combos = {}, {}, {}, {}
  local after, bodies = {}, {}
  for i = 1, #gifts do
    local gift, viewer, creator, coins = gifts[i], gifts[i][1], gifts[i][2], gifts[i][3]
    local wallet, id_digest = wallets[viewer], ARGV[first_arg + 2 * (i - 1)]
    local known = remembered[gift.id_field]
    if known then
      if string.sub(known, 1, 8) == string.sub(id_digest, 17) then
        local paid = unpack_values('>d', known, 9)
        outcomes[#outcomes + 1] = pack('>Bddddc16', REPLAY, wallet, paid, 0, 0, NO_ID)
      else
        refuse(CONFLICT, wallet)
      end
    elseif gift[7] < now_ms - window_ms or gift[7] > now_ms + ahead_ms then
      refuse(EXPIRED, wallet)
    elseif wallet < coins then
      refuse(INSUFFICIENT, wallet)
    elseif earnings[creator] + gift[4] > amount_max or spent + coins > amount_max
        or earned + gift[4] > amount_max or commission + gift[5] > amount_max then
      refuse(OVERFLOW, wallet)
    elseif #bodies >= room_left then
      refuse(OVERLOADED, wallet)
    elseif #outcomes % 16 == 15 and clock() - started > time_s_max then
      for _ = i, #gifts do refuse(NOT_JUDGED) end
      break
    else
      wallet = wallet - coins
      wallets[viewer], earnings[creator] = wallet, earnings[creator] + gift[4]
      spent, earned, commission = spent + coins, earned + gift[4], commission + gift[5]
      remembered[gift.id_field] = string.sub(id_digest, 17) .. pack('>d', coins)
      local combo_id, count, combo_coins = NO_ID, 0, 0
      if gift.combo_field then
        combo_id, count, combo_coins = count_combo(combos, gift, string.sub(id_digest, 1, 16), now_ms)
        new_combos[gift.combo_field] = true
      end
      new_ids[#new_ids + 1], new_wallets[viewer], new_earnings[creator] = gift, true, true
      bodies[#bodies + 1] = ARGV[first_arg + 2 * (i - 1) + 1]
      after[#after + 1] = pack('>dddc16', wallet, count, combo_coins, combo_id)
      outcomes[#outcomes + 1] = pack('>Bddddc16', ACCEPTED, wallet, seq + #bodies, count, combo_coins, combo_id)
    end
  end
  if #bodies == 0 then return end

  -- From here on everything is written, and nothing may fail.
  seq = seq + #bodies
  local function write(key, changed, values)
    local args = {}
    for field in pairs(changed) do
      args[#args + 1] = field
      args[#args + 1] = values[field]
    end
    if #args > 0 then call('HSET', key, unpack(args)) end
  end
  write(wallets_key, new_wallets, wallets)
  write(earnings_key, new_earnings, earnings)
  write(combos_key, new_combos, combos)
  local ids = {}
  for b = 1, #expiries do ids[b] = {} end
  for i = 1, #new_ids do
    local bucket = ids[new_ids[i][6]]
    bucket[#bucket + 1] = new_ids[i].id_field
    bucket[#bucket + 1] = remembered[new_ids[i].id_field]
  end
  for b = 1, #expiries do
    local key = KEYS[key_base + GROUP_KEYS + b]
    if #ids[b] > 0 and call('HSET', key, unpack(ids[b])) > 0 and call('PTTL', key) < 0 then
      call('PEXPIREAT', key, expiries[b])
    end
  end
  call('HSET', totals_key, 'epoch', epoch, 'seq', seq, 'clock', now_ms,
    'spent', spent, 'earned', earned, 'commission', commission)
  call('XADD', journal_key, string.format('%.0f-%.0f', epoch, seq), 't', now_ms, 'd', table.concat(after),
    'r', '\221' .. pack('>I4', #bodies) .. table.concat(bodies))
end

-- The first group is always begun, so that even a call without any time judges some gifts.
for _, group in ipairs(request[2]) do
  if #outcomes > 0 and clock() - started > time_s_max then
    epochs[#epochs + 1] = 0
    arg = arg + 2 * #group[2]
    for _ = 1, #group[2] do refuse(NOT_JUDGED) end
  else
    pay_group(group[1], group[2])
  end
  key_base = key_base + GROUP_KEYS + #group[1]
end
return {time_ms, epochs, table.concat(outcomes)}
