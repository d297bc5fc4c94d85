-- queued -> queued
-- Brings parked entries of a function back, at most 200 and about 1 MiB a call, for a worker that knows the function.
-- Returns how many came back.
local parked, index, returned, counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, name = ARGV[1], ARGV[2]
local LIMIT, BYTES = 200, 1048576

local time = redis.call('TIME')
local generation = math.max(tonumber(redis.call('GET', counter) or 0), time[1] * 1000000 + time[2])
local moved, bytes = 0, 0

local function move(id, fields)
  local key
  for i = 1, #fields, 2 do
    if fields[i] == 'k' then key = fields[i + 1] end
    bytes = bytes + #fields[i + 1]
  end
  generation = generation + 1
  local placed = string.format('%.0f', generation)
  local record = prefix .. 'task:' .. (key or '')
  if key and redis.pcall('HGET', record, 'g') == string.match(id, '^%d+') then
    redis.call('HSET', record, 'g', placed, 'at', 'returned')
  end
  redis.call('XADD', returned, placed .. '-0', unpack(fields))
  redis.call('XDEL', parked, id)
  moved = moved + 1
end

-- How large entries are is known once they are read: so one first, and then as many as fit if they are alike.
local function room()
  if moved == 0 then return 1 end
  return math.min(LIMIT - moved, 8 * moved, math.floor((BYTES - bytes) * moved / math.max(bytes, 1)))
end

if redis.call('XLEN', parked) > 0 then redis.pcall('XGROUP', 'CREATE', returned, 'workers', '0', 'MKSTREAM') end
for _ = 1, LIMIT do
  local count = room()
  local entries = count > 0 and redis.call('XRANGE', parked, '-', '+', 'COUNT', count) or {}
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do move(entry[1], entry[2]) end
end
if moved > 0 then
  redis.call('SET', counter, string.format('%.0f', generation))
  redis.call('PUBLISH', prefix .. 'signal', 'work')
end
if redis.call('XLEN', parked) == 0 then
  redis.call('DEL', parked)
  redis.call('ZREM', index, name)
end
return moved
