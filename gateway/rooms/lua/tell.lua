-- Tells a room facts from the journal, each exactly once: those at or before the last record told of their partition
-- are passed over. A combo that takes the place of an open one ends that first. Reads and checks all, then writes.
-- So are all of an epoch before the room's: a repair has told what is left of that, and the rest is lost.
--
-- KEYS    1 meta, 2 history, 3 combos, 4 board, 5 names, 6 channel of one room
-- ARGV    1 msgpack {epoch, history_facts_max, board_viewers_max, rows}
--         row = {partition, record, coins, combo field or '', viewer for the board or '', level and name};
--         coins < 0: what the viewer took back
--         2 head of a packed batch (array of four, room)
--         2i+1 and 2i+2 of the i-th row: packed fact; combo id (16 bytes) and packed end of the combo, or ''
-- returns seq of the last fact of the room

local call, pack = redis.call, struct.pack
local meta_key, history_key, combos_key, board_key, names_key, channel = unpack(KEYS)
local epoch, facts_max, viewers_max, rows = unpack(cmsgpack.unpack(ARGV[1]))
local head = ARGV[2]

local fields, told = {'epoch', 'seq'}, {}
for i = 1, #rows do
  local partition = rows[i][1]
  if not told[partition] then
    told[partition] = 0
    fields[#fields + 1] = 'p' .. partition
  end
end
local meta = call('HMGET', meta_key, unpack(fields))
local seq = tonumber(meta[2] or 0)
if epoch < tonumber(meta[1] or 0) then return seq end
for i = 3, #fields do told[tonumber(string.sub(fields[i], 2))] = tonumber(meta[i] or 0) end

local combo_fields, combos = {}, {}
for i = 1, #rows do
  local field = rows[i][4]
  if field ~= '' and not combos[field] then
    combos[field] = ''
    combo_fields[#combo_fields + 1] = field
  end
end
if #combo_fields > 0 then
  local stored = call('HMGET', combos_key, unpack(combo_fields))
  for i = 1, #combo_fields do combos[combo_fields[i]] = stored[i] or '' end
end

local facts, changed_meta, changed_combos, coins_of, names = {}, {}, {}, {}, {}
for i = 1, #rows do
  local partition, record, coins, field, viewer, name = unpack(rows[i])
  if record > told[partition] then
    told[partition] = record
    changed_meta['p' .. partition] = record
    if field ~= '' then
      local open, ending = combos[field], ARGV[2 * i + 2]
      if open ~= '' and string.sub(open, 1, 16) ~= string.sub(ending, 1, 16) then
        facts[#facts + 1] = string.sub(open, 17)
      end
      combos[field], changed_combos[field] = ending, ending
    end
    facts[#facts + 1] = ARGV[2 * i + 1]
    if viewer ~= '' then
      coins_of[viewer] = (coins_of[viewer] or 0) + coins
      -- What is taken back was named when it was given, and the name may be another by now.
      if coins >= 0 then names[viewer] = name end
    end
  end
end
if #facts == 0 then return seq end

-- From here on everything is written, and nothing may fail.
local function write(key, values)
  local args = {}
  for field, value in pairs(values) do
    args[#args + 1] = field
    args[#args + 1] = value
  end
  if #args > 0 then call('HSET', key, unpack(args)) end
end
local first_seq = seq + 1
seq = seq + #facts
changed_meta.epoch, changed_meta.seq = epoch, seq
write(meta_key, changed_meta)
write(combos_key, changed_combos)
write(names_key, names)
for viewer, coins in pairs(coins_of) do
  local total = call('ZINCRBY', board_key, coins, viewer)
  if coins <= 0 and tonumber(total) <= 0 then
    call('ZREM', board_key, viewer)
    call('HDEL', names_key, viewer)
  end
end
local surplus = call('ZCARD', board_key) - viewers_max
if surplus > 0 then
  local dropped = call('ZPOPMIN', board_key, surplus)
  for i = 1, #dropped, 2 do call('HDEL', names_key, dropped[i]) end
end
local batch = head .. '\207' .. pack('>I8', epoch) .. '\207' .. pack('>I8', first_seq)
  .. '\221' .. pack('>I4', #facts) .. table.concat(facts)
call('XADD', history_key, string.format('%.0f-%.0f', epoch, seq), 'b', batch)
if seq > facts_max then
  call('XTRIM', history_key, 'MINID', '=', string.format('%.0f-%.0f', epoch, seq - facts_max + 1))
end
call('SPUBLISH', channel, batch)
return seq
