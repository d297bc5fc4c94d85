-- observes
-- Looks for what a worker for some priorities has to wait for: its own streams at once, and then, from a place on, the
-- schedule and the streams that hold all priorities, at most 200 executions and about 1 MiB a call.
-- Returns {1 when something was found, else 0; the place and the position in it where the next call goes on, 0 when all
-- was looked at}.
local schedule, FIRST_MIXED, LAST_MIXED = KEYS[1], 2, 4
local streams, prefix, served, place, after = KEYS, ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local LIMIT, BYTES = 200, 1048576

local looked, bytes = 0, 0

-- What names no priority, or none that there is, is normal.
local function is_served(priority)
  if priority ~= 'high' and priority ~= 'low' then priority = 'normal' end
  return string.find(served, priority, 1, true) ~= nil
end

local function is_entry_served(fields)
  local priority
  for i = 1, #fields, 2 do
    if fields[i] == 'pr' then priority = fields[i + 1] end
    bytes = bytes + #fields[i + 1]
  end
  return is_served(priority)
end

local function look_at_schedule()
  local first = tonumber(after)
  local keys = redis.call('ZRANGE', schedule, first, first + LIMIT - 1)
  for _, key in ipairs(keys) do
    looked = looked + 1
    local priority = redis.pcall('HGET', prefix .. 'task:' .. key, 'pr')
    if is_served(priority) then return true end
  end
  after = first + #keys
  if #keys < LIMIT then place, after = FIRST_MIXED, '-' end
end

-- How large entries are is known once they are read: so one first, and then as many as fit if they are alike.
local function room()
  if looked == 0 or bytes == 0 then return math.min(LIMIT - looked, 1) end
  return math.min(LIMIT - looked, 8 * looked, math.floor((BYTES - bytes) * looked / bytes))
end

local function look_at(stream)
  local count = room()
  local entries = count > 0 and redis.call('XRANGE', stream, after, '+', 'COUNT', count) or {}
  for _, entry in ipairs(entries) do
    looked = looked + 1
    if is_entry_served(entry[2]) then return true end
    after = '(' .. entry[1]
  end
  if #entries < count then place, after = place + 1, '-' end
end

for i = LAST_MIXED + 1, #streams do
  if redis.call('XLEN', streams[i]) > 0 then return { 1, 0, '' } end
end
if place < FIRST_MIXED and look_at_schedule() then return { 1, 0, '' } end
for _ = 1, LIMIT do
  if place < FIRST_MIXED or place > LAST_MIXED or room() < 1 then break end
  if look_at(streams[place]) then return { 1, 0, '' } end
end
if place > LAST_MIXED then place, after = 0, '' end
return { 0, place, tostring(after) }
