-- Stands in front of gift.lua and hold.lua: what forbids a gift although the wallet could pay for it.
-- A viewer's guard is one field. Its first 56 bytes are gift.lua's, seven doubles: the time that the viewer's rate has
-- reached, then day, week and month, each with the coins counted in it. What follows is set_guards.lua's, or nothing: a
-- version, a byte (1 when frozen, and twice the number of age steps), for each cap (gift, day, week, month) three doubles,
-- the age steps, and the reason of the freeze. The doubles of a cap: the cap, the pending one, and the ms from which that
-- holds (0 for none pending). A cap of -1 is no cap. Those of an age step: the ms of the birthday from which it holds, its
-- status (0 when gifts may be given), the age at which that ends, bits of the own caps that are needed (gift is the
-- lowest), and the four caps for the age.

local FROZEN, LIMIT_GIFT, LIMIT_CREATOR_DAY, AGE_UNKNOWN, OWN_CAPS_NEEDED = 8, 11, 15, 19, 20
local COUNTS, COUNTS_BYTES, SETTINGS = '>ddddddd', 56, '>dBdddddddddddd'
local STEP, STEP_BYTES = '>dddddddd', 64
local NO_COUNTS = string.rep('\0', COUNTS_BYTES)
local DAY_MS = 86400000
local floor, huge = math.floor, math.huge

-- Numbers of the day, the ISO week and the month (UTC) of a time; each rises by one from one to the next.
local function periods_of(ms)
  local day = floor(ms / DAY_MS)
  -- Years that begin in March have their leap day at the end; an era is 400 of them, and 719468 days lie before 1970.
  local era = floor((day + 719468) / 146097)
  local of_era = day + 719468 - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  return {day, floor((day + 3) / 7), (era * 400 + year) * 12 + floor((5 * of_year + 2) / 153)}
end

-- What the age step that holds now says: a birthday brings the next one by itself.
local function read_age(guard, first, steps, own_caps, now_ms)
  local step = {0, AGE_UNKNOWN, 0, 0, -1, -1, -1, -1}
  for s = 0, steps - 1 do
    local values = {struct.unpack(STEP, guard.settings, first + STEP_BYTES * s)}
    if now_ms >= values[1] then step = values end
  end
  guard.age_status, guard.age_value = step[2], step[3]
  for k = 1, 4 do
    if step[4 + k] >= 0 and step[4 + k] < guard.caps[k] then guard.caps[k] = step[4 + k] end
    if floor(step[4] / 2 ^ (k - 1)) % 2 == 1 and own_caps[k] < 0 then guard.caps_needed = step[4] end
  end
end

-- The smallest cap of the operator (0 for none), the viewer and its age holds.
local function open_guard(stored, operator_caps, periods, now_ms)
  local reached_ms, day, day_coins, week, week_coins, month, month_coins = struct.unpack(COUNTS, stored)
  local guard = {caps = {}, reached_ms = reached_ms, settings = string.sub(stored, COUNTS_BYTES + 1)}
  guard.spent = {0, day == periods[1] and day_coins or 0, week == periods[2] and week_coins or 0,
    month == periods[3] and month_coins or 0}
  for k = 1, 4 do guard.caps[k] = operator_caps[k] > 0 and operator_caps[k] or huge end
  guard.age_status = AGE_UNKNOWN
  if guard.settings ~= '' then
    local values, own_caps = {struct.unpack(SETTINGS, guard.settings)}, {}
    local steps = floor(values[2] / 2)
    if values[2] % 2 == 1 then guard.frozen = string.sub(guard.settings, values[15] + STEP_BYTES * steps) end
    for k = 1, 4 do
      local cap, pending, from_ms = values[3 * k], values[3 * k + 1], values[3 * k + 2]
      if from_ms > 0 and now_ms >= from_ms then cap = pending end
      if cap >= 0 and cap < guard.caps[k] then guard.caps[k] = cap end
      own_caps[k] = cap
    end
    if steps > 0 then read_age(guard, values[15], steps, own_caps, now_ms) end
  end
  -- Unknown ages are refused only where the deployment says so.
  if guard.age_status == AGE_UNKNOWN and not operator_caps.ages_known then guard.age_status = 0 end
  return guard
end

-- Guards of those viewers who have any, and the periods that they are in.
local function read_guards(key, viewers, operator_caps, always, now_ms)
  local guards, periods, stored = {}, nil, redis.call('HMGET', key, unpack(viewers))
  for v = 1, #viewers do
    if always or stored[v] and #stored[v] > COUNTS_BYTES then
      periods = periods or periods_of(now_ms)
      guards[v] = open_guard(stored[v] or NO_COUNTS, operator_caps, periods, now_ms)
    end
  end
  return guards, periods
end

local function pack_guard(guard, periods)
  local spent = guard.spent
  return struct.pack(COUNTS, guard.reached_ms, periods[1], spent[2], periods[2], spent[3], periods[3], spent[4])
    .. guard.settings
end

-- Coins that viewers gave creators today, by field; the hash is of one day.
local function read_given(key, fields, today)
  local given, asked = {}, {'day'}
  for i = 1, #fields do
    if fields[i] ~= '' and not given[fields[i]] then given[fields[i]], asked[#asked + 1] = 0, fields[i] end
  end
  local stored = redis.call('HMGET', key, unpack(asked))
  local fresh = tonumber(stored[1] or -1) ~= today
  if not fresh then
    for i = 2, #asked do given[asked[i]] = tonumber(stored[i] or 0) end
  end
  return given, fresh
end

-- Why a new gift may not be given, with two values that tell more; nothing when it may. The first that holds: a frozen
-- account, the viewer's age (17 too young, 18 too young without a guardian, each with the age at which that ends, 19 not
-- known), 20 own caps that are needed (bits), the caller's bar, the caps of gift, day, week and month, the creator's of a day.
local function forbidden(guard, bar, coins, given_coins, creator_cap)
  if guard and guard.frozen then return FROZEN, 0, guard.frozen end
  if guard and guard.age_status > 0 then return guard.age_status, guard.age_value end
  if guard and guard.caps_needed then return OWN_CAPS_NEEDED, guard.caps_needed end
  if bar and bar > 0 then return bar end
  if guard then
    for k = 1, 4 do
      if guard.spent[k] + coins > guard.caps[k] then return LIMIT_GIFT + k - 1, guard.caps[k], guard.spent[k] end
    end
  end
  if given_coins and given_coins + coins > creator_cap then return LIMIT_CREATOR_DAY, creator_cap, given_coins end
end

-- How long the viewer has to wait for its next gift, by the generic cell rate algorithm: `rate_ms` lie between two gifts
-- in the long run, and what is saved of `burst_ms` may be used at once.
local function wait_ms(guard, rate_ms, burst_ms, now_ms)
  local reached_ms = math.max(math.min(guard.reached_ms, now_ms + burst_ms), now_ms)
  return math.ceil(reached_ms + rate_ms - burst_ms - now_ms), reached_ms
end

local function count_gift(guard, coins, rate_ms, burst_ms, now_ms)
  for k = 2, 4 do guard.spent[k] = guard.spent[k] + coins end
  if rate_ms > 0 then
    local _, reached_ms = wait_ms(guard, rate_ms, burst_ms, now_ms)
    guard.reached_ms = reached_ms + rate_ms
  end
end

local function write_guards(key, viewers, guards, changed, periods)
  local args = {}
  for v, guard in pairs(guards) do
    if changed[v] then args[#args + 1], args[#args + 2] = viewers[v], pack_guard(guard, periods) end
  end
  if #args > 0 then redis.call('HSET', key, unpack(args)) end
end

local function write_given(key, given, changed, fresh, today)
  local args = {'day', today}
  for field in pairs(changed) do args[#args + 1], args[#args + 2] = field, given[field] end
  if fresh then redis.call('UNLINK', key) end
  redis.call('HSET', key, unpack(args))
end

-- A viewer's guard when coins came back that were counted at that time: counts of periods that have ended stay.
local function counts_without(stored, coins, counted_ms)
  local counts, counted = {struct.unpack(COUNTS, stored)}, periods_of(counted_ms)
  for k = 1, 3 do
    if counts[2 * k] == counted[k] then counts[2 * k + 1] = math.max(0, counts[2 * k + 1] - coins) end
  end
  return struct.pack(COUNTS, unpack(counts, 1, 7)) .. string.sub(stored, COUNTS_BYTES + 1)
end
