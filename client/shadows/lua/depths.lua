-- observes
-- Counts what waits, for metrics; its cost does not grow with that. Of parked functions the first 100 are counted.
-- Returns {waiting for a worker, scheduled, ms that the first of the waiting waits (-1: none), parked, quarantined,
-- waiting at a gate}.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local schedule, unknown, quarantine, at_gates = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local NAMES = 100

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local waiting, oldest_ms = 0, -1

-- The number of an entry is the microsecond of Redis's clock at which it was placed.
local function first_undelivered(stream, last)
  local entry = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
  return entry and math.max(0, (now_us - tonumber(string.match(entry[1], '^%d+'))) / 1000)
end

-- What was taken from the dead waits since then, and not since it was placed.
local function first_reclaimed(stream)
  local held = redis.call('XPENDING', stream, 'workers', '-', '+', 1, 'reclaimed')[1]
  return held and held[3]
end

local function field(row, name)
  for i = 1, #row, 2 do
    if row[i] == name then return row[i + 1] end
  end
end

for _, stream in ipairs(streams) do
  local length = redis.call('XLEN', stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  local ages = {}
  if groups.err or not groups[1] then
    -- No worker has come yet, so nothing was handed out.
    waiting = waiting + length
    if length > 0 then ages[1] = first_undelivered(stream, '0') end
  else
    local pending = redis.call('XPENDING', stream, 'workers')
    local reclaimed = 0
    for _, consumer in ipairs(pending[4] or {}) do
      if consumer[1] == 'reclaimed' then reclaimed = tonumber(consumer[2]) end
    end
    waiting = waiting + math.max(0, length - pending[1]) + reclaimed
    ages = { first_undelivered(stream, field(groups[1], 'last-delivered-id')) or -1 }
    if reclaimed > 0 then ages[2] = first_reclaimed(stream) end
  end
  for _, age in ipairs(ages) do oldest_ms = math.max(oldest_ms, age) end
end

local parked = 0
for _, name in ipairs(redis.call('ZRANGE', unknown, 0, NAMES - 1)) do
  parked = parked + redis.call('XLEN', unknown .. ':' .. name)
end
return {
  waiting, redis.call('ZCARD', schedule), math.floor(oldest_ms), parked, redis.call('XLEN', quarantine),
  redis.call('XLEN', at_gates),
}
