-- Notes how far the rooms were told, for several partitions. A position that is not further than the stored one is
-- passed over: the journal behind the stored one may have been dropped. So is one beyond the last record: it is of a
-- journal that this server has lost, and what takes those places must be told.
--
-- KEYS    relay of each partition, then totals of each
-- ARGV    for each partition: epoch, seq
-- returns how many positions rose

local risen, count = {}, #KEYS / 2
for i = 1, count do
  local epoch, seq = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local stored_epoch, stored_seq = string.match(redis.call('GET', KEYS[i]) or '0-0', '^(%d+)-(%d+)$')
  stored_epoch, stored_seq = tonumber(stored_epoch), tonumber(stored_seq)
  local further = epoch > stored_epoch or (epoch == stored_epoch and seq > stored_seq)
  if further and seq <= tonumber(redis.call('HGET', KEYS[count + i], 'seq') or 0) then risen[#risen + 1] = i end
end

for _, i in ipairs(risen) do
  redis.call('SET', KEYS[i], string.format('%.0f-%.0f', tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])))
end
return #risen
