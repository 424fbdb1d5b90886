-- Stands in front of gift.lua: the ids of gifts, in hashes by time (buckets) that expire. Field: id and viewer;
-- value: digest and coins.

local function read_ids(keys, first_key, bucket_count, bucket_of, id_fields)
  if bucket_count == 1 then return redis.call('HMGET', keys[first_key], unpack(id_fields)) end
  local remembered = {}
  for b = 1, bucket_count do
    local places, fields = {}, {}
    for i = 1, #id_fields do
      if bucket_of[i] == b then places[#places + 1], fields[#fields + 1] = i, id_fields[i] end
    end
    local values = redis.call('HMGET', keys[first_key + b - 1], unpack(fields))
    for k = 1, #places do remembered[places[k]] = values[k] end
  end
  return remembered
end

local function write_ids(keys, first_key, expiries, bucket_of, id_fields, id_values, paid)
  for b = 1, #expiries do
    local args = {}
    for k = 1, #paid do
      local i = paid[k]
      if bucket_of[i] == b then args[#args + 1], args[#args + 2] = id_fields[i], id_values[i] end
    end
    local key = keys[first_key + b - 1]
    if #args > 0 and redis.call('HSET', key, unpack(args)) > 0 and redis.call('PTTL', key) < 0 then
      redis.call('PEXPIREAT', key, expiries[b])
    end
  end
end
