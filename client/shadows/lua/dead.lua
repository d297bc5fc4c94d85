-- observes
-- Finds consumers without a living lease, also those whose lease was lost without a trace.
-- Returns up to 200 names.
local streams, leases = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }, KEYS[6]
local LIMIT = 200

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local out, seen = {}, { reclaimed = true }

local function look(name)
  if seen[name] or #out >= LIMIT then return end
  seen[name] = true
  if tonumber(redis.call('ZSCORE', leases, name) or 0) <= now then out[#out + 1] = name end
end

for _, stream in ipairs(streams) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, 'workers')
  if not consumers.err then
    for _, row in ipairs(consumers) do
      for i = 1, #row, 2 do
        if row[i] == 'name' then look(row[i + 1]) end
      end
    end
  end
end
return out
