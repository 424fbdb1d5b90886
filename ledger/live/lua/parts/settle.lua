-- Stands in front of undo_gift.lua and settle_gifts.lua: how gifts that were held are paid. Needs open_gifts.lua. Both
-- scripts have the same keys, in this order: wallets, earnings, totals, guards, given_today, open_gifts, undo_deadlines,
-- undo_counts, undone_gifts, journal.

local OPEN_GIFT_BYTES, SETTLED, UNDONE = 43, '\220\0\18\161s', '\220\0\18\161u'
local NO_ID = string.rep('\0', 16)

-- The totals of the partition and its time; nothing when it takes no orders.
local function read_totals(totals_key)
  local names = {'epoch', 'seq', 'clock', 'spent', 'earned', 'commission', 'held', 'held_gifts'}
  local totals, stored = {}, redis.call('HMGET', totals_key, unpack(names))
  for n = 1, #names do totals[names[n]] = tonumber(stored[n] or 0) end
  if totals.epoch < 1 then return nil end
  local time = redis.call('TIME')
  totals.clock = math.max(time[1] * 1000 + math.floor(time[2] / 1000), totals.clock)
  return totals
end

local function read_gift(stored)
  local gift = {}
  gift.until_ms, gift.coins, gift.diamonds, gift.commission, gift.given_ms, gift.counted, gift.creator =
    struct.unpack(OPEN_GIFT, stored)
  gift.body = string.sub(stored, OPEN_GIFT_BYTES + gift.creator + GIFT_HEAD_BYTES + 1)
  gift.creator = string.sub(stored, OPEN_GIFT_BYTES + 1, OPEN_GIFT_BYTES + gift.creator)
  return gift
end

-- Not open any more; for `viewer` so many fewer can be undone.
local function close_gifts(keys, fields, closed)
  redis.call('HDEL', keys[6], unpack(fields))
  redis.call('ZREM', keys[7], unpack(fields))
  for viewer, gifts in pairs(closed) do
    if redis.call('HINCRBY', keys[8], viewer, -gifts) < 1 then redis.call('HDEL', keys[8], viewer) end
  end
end

local function write_journal(journal_key, totals, after, bodies)
  redis.call('XADD', journal_key, string.format('%.0f-%.0f', totals.epoch, totals.seq), 't', totals.clock,
    'd', table.concat(after), 'r', '\221' .. struct.pack('>I4', #bodies) .. table.concat(bodies))
end

-- Pays open gifts: their coins are spent now. That the sums fit was seen to when they were held.
local function settle(keys, totals, fields, gifts)
  local viewers, creators, seen, closed, changes = {}, {}, {}, {}, {}
  for k = 1, #fields do
    local viewer, creator = string.sub(fields[k], 17), gifts[k].creator
    viewers[k], closed[viewer] = viewer, (closed[viewer] or 0) + 1
    if not seen[creator] then creators[#creators + 1], seen[creator] = creator, #creators + 1 end
  end
  local wallets, earnings = redis.call('HMGET', keys[1], unpack(viewers)), redis.call('HMGET', keys[2], unpack(creators))
  for c = 1, #creators do changes[2 * c - 1], changes[2 * c] = creators[c], tonumber(earnings[c] or 0) end
  local after, bodies = {}, {}
  for k = 1, #fields do
    local gift, place = gifts[k], 2 * seen[gifts[k].creator]
    changes[place] = changes[place] + gift.diamonds
    totals.spent, totals.earned = totals.spent + gift.coins, totals.earned + gift.diamonds
    totals.commission = totals.commission + gift.commission
    totals.held, totals.held_gifts = totals.held - gift.coins, totals.held_gifts - gift.coins
    after[k] = struct.pack('>dddc16', tonumber(wallets[k] or 0), 0, 0, NO_ID)
    bodies[k] = SETTLED .. gift.body
  end

  -- From here on everything is written, and nothing may fail.
  totals.seq = totals.seq + #fields
  redis.call('HSET', keys[2], unpack(changes))
  close_gifts(keys, fields, closed)
  redis.call('HSET', keys[3], 'epoch', totals.epoch, 'seq', totals.seq, 'clock', totals.clock, 'spent', totals.spent,
    'earned', totals.earned, 'commission', totals.commission, 'held', totals.held, 'held_gifts', totals.held_gifts)
  write_journal(keys[10], totals, after, bodies)
end
