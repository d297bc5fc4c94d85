-- scheduled, queued -> cancelled
-- Removes what has not started, at most 200 and about 1 MiB a call; running tasks and strikes stay.
-- Returns {removed, 1 when there may be more}.
local streams, schedule = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }, KEYS[6]
local unknown, leases, waiting, paused = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local prefix, ttl = ARGV[1], tonumber(ARGV[2])
local LIMIT, BYTES = 200, 1048576

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local removed, more, looked, bytes = 0, 0, 0, 0

local function finish(key, generation)
  local record = prefix .. 'task:' .. key
  local seen = redis.pcall('HMGET', record, 'g', 'n')
  if seen.err or (generation and seen[1] ~= generation) or not seen[1] then return end
  if ttl == 0 then return redis.call('DEL', record) end
  local submission = seen[2] or seen[1]
  redis.call('HDEL', record, 'p', 'w', 'at')
  redis.call('HSET', record, 's', 'cancelled', 'r', 'cleared',
    'o', table.concat({ 'cancelled', submission, 0, -1, now, '' }, ' '))
  redis.call('PEXPIRE', record, ttl)
  redis.call('PUBLISH', prefix .. 'state:' .. key, submission .. ' cancelled')
end

-- How large entries are is known once they are read: so one first, and then as many as fit if they are alike.
local function room()
  local most = LIMIT - looked
  if bytes > 0 then most = math.min(most, 8 * looked, math.floor((BYTES - bytes) * looked / bytes)) end
  if most < 1 then more = 1 end
  return looked == 0 and 1 or most
end

local function drop(stream, id, fields, acked)
  looked = looked + 1
  for i = 1, #fields, 2 do
    if fields[i] == 'k' then finish(fields[i + 1], string.match(id, '^%d+')) end
    bytes = bytes + #fields[i + 1]
  end
  if acked then
    redis.call('XACK', stream, 'workers', id)
    -- It may have been paused only, and come back before anybody took over: then it must stop what it runs.
    redis.call('PUBLISH', prefix .. 'signal', 'cancel ' .. id)
  end
  removed = removed + redis.call('XDEL', stream, id)
end

local function drop_range(stream, after)
  for _ = 1, LIMIT do
    local count = room()
    local entries = count > 0 and redis.call('XRANGE', stream, after, '+', 'COUNT', count) or {}
    if #entries == 0 then return end
    for _, entry in ipairs(entries) do drop(stream, entry[1], entry[2], false) end
  end
end

local function drop_undelivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return end
  local after = '-'
  for _, group in ipairs(groups) do
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then after = '(' .. group[i + 1] end
    end
  end
  drop_range(stream, after)
end

-- Delivered to somebody whose lease is over: it is not running, whatever the pending list says.
local function drop_of_the_dead(stream, consumer)
  if tonumber(redis.call('ZSCORE', leases, consumer) or 0) > now then return end
  for _, entry in ipairs(redis.call('XPENDING', stream, 'workers', '-', '+', LIMIT, consumer)) do
    if room() < 1 then return end
    local found = redis.call('XRANGE', stream, entry[1], entry[1])[1]
    if found then drop(stream, entry[1], found[2], true) else redis.call('XACK', stream, 'workers', entry[1]) end
  end
end

for _, key in ipairs(redis.call('ZRANGE', schedule, 0, LIMIT - 1)) do
  removed = removed + redis.call('ZREM', schedule, key)
  looked = looked + 1
  finish(key)
end
if redis.call('ZCARD', schedule) > 0 then more = 1 end
for _, stream in ipairs(streams) do
  drop_undelivered(stream)
  local consumers = redis.pcall('XPENDING', stream, 'workers')
  if not consumers.err and consumers[4] then
    for _, row in ipairs(consumers[4]) do
      if looked < LIMIT then drop_of_the_dead(stream, row[1]) else more = 1 end
    end
  end
end
drop_range(waiting, '-')
if redis.call('XLEN', waiting) == 0 then
  redis.call('DEL', waiting)
  -- Nobody waits at any gate any more.
  for _, name in ipairs(redis.call('ZRANGE', prefix .. 'gates', 0, LIMIT - 1)) do
    redis.call('DEL', prefix .. 'queue:' .. name)
    redis.call('ZREM', prefix .. 'gates', name)
  end
end
-- Some of them may have had a place at a gate where others wait still.
if redis.call('EXISTS', prefix .. 'gates') == 1 then
  more = 1
  redis.call('PUBLISH', prefix .. 'signal', 'gate')
end
for _, index in ipairs({ unknown, paused }) do
  for _, name in ipairs(redis.call('ZRANGE', index, 0, 0)) do
    local parked = index .. ':' .. name
    drop_range(parked, '-')
    if redis.call('XLEN', parked) == 0 then
      redis.call('DEL', parked)
      redis.call('ZREM', index, name)
    end
    more = 1
  end
end
return { removed, more }
