-- Stands in front of gift.lua: what many gifts have in common, packed and written in few calls.

local PACKED_AT_ONCE = 1000

-- One call of `pack` for many gifts: a call a gift costs as much as the rest of the judging.
local function pack_after(flat)
  if #flat <= PACKED_AT_ONCE then return struct.pack('>' .. string.rep('dddc16', #flat / 4), unpack(flat)) end
  local parts = {}
  for first = 1, #flat, PACKED_AT_ONCE do
    local last = math.min(first + PACKED_AT_ONCE - 1, #flat)
    parts[#parts + 1] = struct.pack('>' .. string.rep('dddc16', (last - first + 1) / 4), unpack(flat, first, last))
  end
  return table.concat(parts)
end

local function cut_bodies(bodies, sizes, paid)
  local parts, first, next_paid = {}, 1, 1
  for i = 1, #sizes do
    if paid[next_paid] == i then
      parts[next_paid] = string.sub(bodies, first, first + sizes[i] - 1)
      next_paid = next_paid + 1
    end
    first = first + sizes[i]
  end
  return table.concat(parts)
end

local function write_changed(key, fields, changed, values)
  local args = {}
  for k = 1, #fields do
    if changed[k] then args[#args + 1], args[#args + 2] = fields[k], values[k] end
  end
  redis.call('HSET', key, unpack(args))
end
