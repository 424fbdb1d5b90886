-- Stands in front of gift.lua: gifts that the viewer may undo still, of one partition.
-- Field: id and viewer. Value: until when it may be undone, coins, the creator's diamonds, the commission, when it was
-- given, what counted it (1 the viewer's caps, 2 the creator's cap of a day, 3 both), size of the creator's name, that
-- name, and the body of its record as if it had been paid at once.

local OPEN_GIFT, HELD, GIFT_HEAD_BYTES = '>dddddBI2', '\220\0\19\161d', 5
local DIAMONDS_PER_COIN = 100

-- What is open before a call, and what it opens: in `held` the place of each gift and until when it may be undone.
local function open_windows(keys, first_key, viewers, open_gifts_max, now_ms)
  local windows = {first_key = first_key, open_key = keys[first_key], now_ms = now_ms, shut = {}, until_of = {}, held = {}}
  windows.left = open_gifts_max - redis.call('HLEN', windows.open_key)
  local shut_until = redis.call('HMGET', keys[first_key + 3], unpack(viewers))
  for v = 1, #viewers do windows.shut[v] = tonumber(shut_until[v] or 0) > now_ms end
  return windows
end

-- Until when a gift that was given before may be undone; 0 for not any more.
local function open_until(windows, field)
  local until_ms = windows.until_of[field]
  if not until_ms then
    local stored = redis.call('HGET', windows.open_key, field)
    until_ms = stored and struct.unpack('>d', stored) or 0
  end
  return until_ms > windows.now_ms and until_ms or 0
end

-- Whether a gift is held, rather than paid at once.
local function hold_gift(windows, place, field, undo_ms, viewer)
  if undo_ms < 1 or windows.left < 1 or windows.shut[viewer] then return false end
  local until_ms, n = windows.now_ms + undo_ms, #windows.held
  windows.left, windows.until_of[field] = windows.left - 1, until_ms
  windows.held[n + 1], windows.held[n + 2] = place, until_ms
  return true
end

-- The bodies of the accepted gifts, those of the held ones as held; and by place the held ones as if they were paid.
local function hold_bodies(bodies, sizes, paid, windows, undo_of)
  local parts, plain, is_held, first, next_paid = {}, {}, {}, 1, 1
  for k = 1, #windows.held, 2 do is_held[windows.held[k]] = true end
  for i = 1, #sizes do
    if paid[next_paid] == i then
      local body = string.sub(bodies, first, first + sizes[i] - 1)
      if is_held[i] then
        plain[i], body = body, HELD .. string.sub(body, GIFT_HEAD_BYTES + 1) .. cmsgpack.pack(undo_of[i])
      end
      parts[next_paid] = body
      next_paid = next_paid + 1
    end
    first = first + sizes[i]
  end
  return table.concat(parts), plain
end

-- Stores the gifts that are held; `columns` are those of the call, `plain` their bodies by place.
local function write_open(keys, windows, columns, plain)
  local gifts, deadlines, opened, names = {}, {}, {}, {}
  for k = 1, #windows.held, 2 do
    local i, until_ms = windows.held[k], windows.held[k + 1]
    local viewer, creator = columns.viewers[columns.viewer_of[i]], columns.creators[columns.creator_of[i]]
    gifts[k], gifts[k + 1] = columns.fields[i], struct.pack(OPEN_GIFT, until_ms, columns.coins[i], columns.diamonds[i],
      columns.commission[i], windows.now_ms, columns.counted[i], #creator) .. creator .. plain[i]
    deadlines[k], deadlines[k + 1] = until_ms, columns.fields[i]
    if not opened[viewer] then names[#names + 1] = viewer end
    opened[viewer] = (opened[viewer] or 0) + 1
  end
  redis.call('HSET', windows.open_key, unpack(gifts))
  redis.call('ZADD', keys[windows.first_key + 1], unpack(deadlines))
  for n = 1, #names do redis.call('HINCRBY', keys[windows.first_key + 2], names[n], opened[names[n]]) end
end
