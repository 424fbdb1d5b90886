-- Pays gifts whose viewers can undo them no more, those first whose time was over first.
--
-- KEYS    wallets, earnings, totals, guards, given_today, open_gifts, undo_deadlines, undo_counts, undone_gifts, journal
--         of a partition
-- ARGV    1 the most gifts to pay, at least 1
-- returns how many were paid; an error FENCED when the partition has no epoch or epoch 0

local totals = read_totals(KEYS[3])
if not totals then return redis.error_reply('FENCED a partition takes no orders: lost, or in repair') end
local fields = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', string.format('%.0f', totals.clock), 'LIMIT', 0, ARGV[1])
if #fields == 0 then return 0 end
local gifts = redis.call('HMGET', KEYS[6], unpack(fields))
for k = 1, #fields do gifts[k] = read_gift(gifts[k]) end
settle(KEYS, totals, fields, gifts)
return #fields
