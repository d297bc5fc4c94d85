-- queued -> queued
-- Brings parked entries of a function back, at most 200 and about 1 MiB a call, for a worker that knows the function.
-- Returns how many came back.
local parked, index, returned, counter, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, name = ARGV[1], ARGV[2]
local LIMIT, BYTES = 200, 1048576

local time = redis.call('TIME')

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

-- Whoever wrote the counter anew did not look at what has returned.
local last = math.max(tonumber(redis.call('GET', counter)) or last_id(ready), last_id(returned))
local generation = math.max(last, time[1] * 1000000 + time[2])
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
