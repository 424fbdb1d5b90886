-- Stands in front of gift.lua: combos. Field: viewer NUL combo key; value: id (16 bytes), then count, coins and deadline.

local COMBO_COUNT_MAX = 2147483647 -- what the books hold; one more begins another combo
local pack_combo, unpack_combo, sub = struct.pack, struct.unpack, string.sub

local function read_combos(key, combo_fields)
  local fields, combos = {}, {}
  for i = 1, #combo_fields do
    if combo_fields[i] ~= '' then fields[#fields + 1] = combo_fields[i] end
  end
  if #fields > 0 then
    local values = redis.call('HMGET', key, unpack(fields))
    for i = 1, #fields do combos[fields[i]] = values[i] end
  end
  return combos
end

-- The combo that this gift opens or carries on: id, count, coins, and the value to store.
local function count_combo(stored, id, gift_count, gift_coins, window, now_ms)
  local combo_id, count, coins = id, gift_count, gift_coins
  if stored then
    local stored_count, stored_coins, deadline_ms = unpack_combo('>ddd', stored, 17)
    if now_ms <= deadline_ms and stored_count + gift_count <= COMBO_COUNT_MAX then
      combo_id, count, coins = sub(stored, 1, 16), stored_count + gift_count, stored_coins + gift_coins
    end
  end
  return combo_id, count, coins, combo_id .. pack_combo('>ddd', count, coins, now_ms + window)
end
