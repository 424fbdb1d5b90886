-- Stands in front of gift.lua: a clock in seconds that goes on while the script runs.
-- Redis has none for scripts before 7.4. On 7.0 the server's TIME goes on; on 7.2 that stands still too, and then only
-- the number of gifts bounds a call.

local has_system, system = pcall(function() return os end)
local clock = has_system and system.clock or function()
  local now = redis.call('TIME')
  return now[1] + now[2] / 1000000
end

