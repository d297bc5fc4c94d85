-- running -> queued, quarantined
-- Takes what a dead consumer held, at most 100 and about 1 MiB a call, and hands it to the living; remembers the deaths.
-- `manner` tells what is known: `worker`, `child` (its lease ended; a lonely task of a plain worker has died with it),
-- `again` (a further call), or from its master, who saw it end: `death` (with the generations that ran) and `end`.
-- Returns {taken, quarantined, left, how many old entries of the quarantine its limits pushed out, new suspects};
-- {-1, 0, 0, 0, 0} when the consumer lives.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local leases, workers, functions = KEYS[6], KEYS[7], KEYS[8]
local counter, quarantine = KEYS[9], KEYS[10]
local prefix, consumer, manner = ARGV[1], ARGV[2], ARGV[3]
local max_deaths, ttl, cause, in_flight = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ' ' .. ARGV[7] .. ' '
local MOST, OLDEST_MS = 10000, 30 * 24 * 3600 * 1000
local LIMIT, BYTES, SUSPECT_DEATHS, SUSPECT_LOSSES, MAX_LOSSES = 100, 1048576, 2, 3, 10

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expiry = redis.call('ZSCORE', leases, consumer)
local seen_to_end = manner == 'death' or manner == 'end'
-- Renewed since the caller looked: it lives, whatever the caller believed.
if tonumber(expiry or 0) > now and not seen_to_end then return { -1, 0, 0, 0, 0 } end
-- 0 is a lease that can't be renewed and stays visible: whoever began may die before all is taken.
local resumed = expiry == '0'
redis.call('ZREM', leases, consumer) -- first, since a server that is out of memory takes it, and then the rest
redis.call('ZADD', leases, 0, consumer)

local function pending(place, count)
  local held = redis.pcall('XPENDING', streams[place], 'workers', '-', '+', count, consumer)
  if held.err then return {} end
  return held
end
local held, total = {}, 0
for place = 1, #streams do
  held[place] = pending(place, LIMIT)
  total = total + #held[place]
end
-- Alone is the one case in which a plain worker's loss has one culprit.
local alone = manner == 'worker' and not resumed and total == 1

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

-- Whoever wrote the counter anew did not look at the suspects.
local function next_generation()
  local last = tonumber(redis.call('GET', counter)) or last_id(streams[1])
  last = math.max(last, last_id(streams[3]), time[1] * 1000000 + time[2])
  local placed = string.format('%.0f', last + 1)
  redis.call('SET', counter, placed)
  return placed
end

local function remove(place, id)
  redis.call('XACK', streams[place], 'workers', id)
  redis.call('XDEL', streams[place], id)
end

local function condemn(place, id, fields, record, key, submission, deaths, losses)
  local why = deaths .. ' deaths of the process that ran it, ' .. losses .. ' losses of one beside others' .. cause
  local kept = redis.call('XADD', quarantine, '*', 'v', 'running', 'c', why, unpack(fields))
  remove(place, id)
  redis.call('HSET', record, 's', 'quarantined', 'r', kept .. ' ' .. why,
    'o', table.concat({ 'quarantined', submission, 0, -1, now, consumer }, ' '))
  redis.call('PEXPIRE', record, math.max(ttl, 60000))
  redis.call('PUBLISH', prefix .. 'state:' .. key, submission .. ' quarantined')
end

local suspected = 0
local function suspect(place, id, fields, record)
  if place == 3 then
    redis.call('XCLAIM', streams[3], 'workers', 'reclaimed', 0, id, 'JUSTID')
    return
  end
  suspected = suspected + 1
  local placed = next_generation()
  redis.pcall('XGROUP', 'CREATE', streams[3], 'workers', '0', 'MKSTREAM')
  redis.call('HSET', record, 'g', placed, 'at', 'suspects')
  redis.call('XADD', streams[3], placed .. '-0', unpack(fields))
  remove(place, id)
end

local taken, condemned, bytes = 0, 0, 0
local function take(place, id)
  local entry = redis.call('XRANGE', streams[place], id, id)[1]
  if not entry then return redis.call('XACK', streams[place], 'workers', id) end
  taken = taken + 1
  local fields, key, named = entry[2], nil, false
  for i = 1, #fields, 2 do
    if fields[i] == 'k' then key = fields[i + 1] end
    named = named or fields[i] == 'n'
    bytes = bytes + #fields[i + 1]
  end
  local record = prefix .. 'task:' .. (key or '')
  local seen = key and redis.pcall('HMGET', record, 'g', 'd', 'l', 'n') or {}
  if seen[1] ~= string.match(id, '^%d+') then
    return redis.call('XCLAIM', streams[place], 'workers', 'reclaimed', 0, id, 'JUSTID')
  end
  local deaths, losses = tonumber(seen[2] or 0), tonumber(seen[3] or 0)
  if manner == 'death' then
    if string.find(in_flight, ' ' .. seen[1] .. ' ', 1, true) then deaths = deaths + 1 end
  elseif alone then
    deaths = deaths + 1
  elseif manner ~= 'end' then
    losses = losses + 1
  end
  redis.call('HSET', record, 'd', deaths, 'l', losses)
  local submission = seen[4] or seen[1]
  redis.call('HSET', record, 'n', submission)
  -- The entry must name its first number before it gets another.
  if not named then fields[#fields + 1], fields[#fields + 2] = 'n', submission end
  if deaths >= max_deaths or losses >= MAX_LOSSES then
    condemned = condemned + 1
    return condemn(place, id, fields, record, key, submission, deaths, losses)
  end
  if deaths >= SUSPECT_DEATHS or losses >= SUSPECT_LOSSES then
    return suspect(place, id, fields, record)
  end
  redis.call('XCLAIM', streams[place], 'workers', 'reclaimed', 0, id, 'JUSTID')
end

local budget = LIMIT
for place = 1, #streams do
  for _, entry in ipairs(held[place]) do
    if budget > 0 and bytes < BYTES then
      take(place, entry[1])
      budget = budget - 1
    end
  end
end
local out = 0
if condemned > 0 then
  out = redis.call('XTRIM', quarantine, 'MAXLEN', MOST)
  out = out + redis.call('XTRIM', quarantine, 'MINID', string.format('%.0f', now - OLDEST_MS))
end
local left = 0
for place = 1, #streams do left = left + #pending(place, 1) end
if left == 0 then
  redis.call('ZREM', leases, consumer)
  for _, stream in ipairs(streams) do redis.pcall('XGROUP', 'DELCONSUMER', stream, 'workers', consumer) end
  redis.call('HDEL', workers, consumer)
  redis.call('HDEL', functions, consumer)
end
if taken > condemned then redis.call('PUBLISH', prefix .. 'signal', 'work') end
-- What it ran may have had a place at a gate where others wait.
if left == 0 and redis.call('EXISTS', prefix .. 'gates') == 1 then redis.call('PUBLISH', prefix .. 'signal', 'gate') end
return { taken, condemned, left, out, suspected }
