-- Notes how far the rooms were told, for several partitions. A position that is not further than the stored one is
-- passed over: the journal behind the stored one may have been dropped.
--
-- KEYS    relay of each partition
-- ARGV    for each partition: epoch, seq
-- returns how many positions rose

local risen = {}
for i = 1, #KEYS do
  local epoch, seq = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local stored_epoch, stored_seq = string.match(redis.call('GET', KEYS[i]) or '0-0', '^(%d+)-(%d+)$')
  stored_epoch, stored_seq = tonumber(stored_epoch), tonumber(stored_seq)
  if epoch > stored_epoch or (epoch == stored_epoch and seq > stored_seq) then risen[#risen + 1] = i end
end

for _, i in ipairs(risen) do
  redis.call('SET', KEYS[i], string.format('%.0f-%.0f', tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])))
end
return #risen
