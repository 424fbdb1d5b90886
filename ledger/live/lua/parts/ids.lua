-- Stands in front of gift.lua and replay.lua: the ids of gifts, in hashes by time (buckets) that expire by the server's
-- clock. Field: id and viewer; value: digest and coins. That clock may have run ahead for a while, and buckets went before
-- their time; so the totals name each bucket that was begun, by its expiry, until the partition's own time has passed that.

local MISSING = -2

-- Of each bucket whether it is gone although it was begun: an id of its time may have been paid.
local function gone_buckets(totals_key, expiries, ttls)
  local gone, begun = {}, nil
  for b = 1, #expiries do
    if ttls[b] == MISSING then
      begun = begun or ' ' .. (redis.call('HGET', totals_key, 'id_buckets') or '') .. ' '
      gone[b] = string.find(begun, string.format(' %.0f ', expiries[b]), 1, true) ~= nil
    end
  end
  return gone
end

local function note_begun(totals_key, begun, now_ms)
  local stored, kept, noted = redis.call('HGET', totals_key, 'id_buckets') or '', {}, {}
  for expiry in string.gmatch(stored, '%d+') do
    if tonumber(expiry) > now_ms then kept[#kept + 1], noted[tonumber(expiry)] = expiry, true end
  end
  for _, expiry in ipairs(begun) do
    if not noted[expiry] then kept[#kept + 1], noted[expiry] = string.format('%.0f', expiry), true end
  end
  redis.call('HSET', totals_key, 'id_buckets', table.concat(kept, ' '))
end

-- What is remembered of each id, for how many ms each bucket is (as PTTL says), and which are gone.
local function read_ids(keys, first_key, totals_key, expiries, bucket_of, id_fields)
  local remembered, ttls = {}, {}
  for b = 1, #expiries do ttls[b] = redis.call('PTTL', keys[first_key + b - 1]) end
  if #expiries == 1 then
    remembered = redis.call('HMGET', keys[first_key], unpack(id_fields))
  else
    for b = 1, #expiries do
      local places, fields = {}, {}
      for i = 1, #id_fields do
        if bucket_of[i] == b then places[#places + 1], fields[#fields + 1] = i, id_fields[i] end
      end
      local values = redis.call('HMGET', keys[first_key + b - 1], unpack(fields))
      for k = 1, #places do remembered[places[k]] = values[k] end
    end
  end
  return remembered, ttls, gone_buckets(totals_key, expiries, ttls)
end

local function write_ids(keys, first_key, totals_key, expiries, ttls, bucket_of, id_fields, id_values, paid, now_ms)
  local begun = {}
  for b = 1, #expiries do
    local args = {}
    for k = 1, #paid do
      local i = paid[k]
      if bucket_of[i] == b then args[#args + 1], args[#args + 2] = id_fields[i], id_values[i] end
    end
    local key = keys[first_key + b - 1]
    if #args > 0 then redis.call('HSET', key, unpack(args)) end
    if #args > 0 and ttls[b] < 0 then
      redis.call('PEXPIREAT', key, expiries[b])
      begun[#begun + 1] = expiries[b]
    end
  end
  if #begun > 0 then note_begun(totals_key, begun, now_ms) end
end
