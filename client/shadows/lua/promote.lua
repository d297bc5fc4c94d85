-- scheduled -> queued, quarantined
-- Moves the executions that are due into the ready stream, at most 200 and about 1 MiB a call.
-- Returns how many moved, how many were quarantined, microseconds until the next is due (-1: none), and how many
-- old entries of the quarantine its limits pushed out.
local stream, schedule, counter, quarantine = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, ttl = ARGV[1], tonumber(ARGV[2])
local LIMIT, BYTES = 200, 1048576
local MOST, OLDEST_MS = 10000, 30 * 24 * 3600 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

local last = tonumber(redis.call('GET', counter)) or last_id(stream)
local generation = math.max(last, time[1] * 1000000 + time[2])
local moved, lost, bytes = 0, 0, 0

-- Where executions of a priority go. Whoever wrote the counter anew did not look there, and the first of all is told to
-- the workers, who read there from then on.
local streams = {}
local function stream_of(priority)
  if priority ~= 'high' and priority ~= 'low' then return stream end
  local of = prefix .. priority
  if not streams[of] then
    streams[of] = true
    generation = math.max(generation, last_id(of))
    if redis.call('EXISTS', of) == 0 then redis.call('PUBLISH', prefix .. 'signal', 'priorities') end
  end
  return of
end

-- Its payload is gone, so it can't run: it is kept where a person sees it, and the key is free.
local function give_up(key, record, name, submission)
  redis.call('XADD', quarantine, '*', 'k', key, 'f', name or '', 'p', '', 'v', 'scheduled',
    'c', 'the record of this scheduled execution was lost or damaged, and its arguments with it')
  redis.call('DEL', record)
  redis.call('PUBLISH', prefix .. 'state:' .. key, (submission or '0') .. ' quarantined')
  lost = lost + 1
end

local function promote(key, due)
  local record = prefix .. 'task:' .. key
  local seen = redis.pcall('HMGET', record, 's', 'f', 'p', 'a', 'n', 'g', 'pr')
  redis.call('ZREM', schedule, key)
  if seen.err or seen[1] ~= 'scheduled' or not seen[2] or not seen[3] or not seen[6] then
    return give_up(key, record, not seen.err and seen[2], not seen.err and (seen[5] or seen[6]))
  end
  local to = stream_of(seen[7])
  generation = generation + 1
  bytes = bytes + #seen[3]
  local placed = string.format('%.0f', generation)
  local entry = { 'k', key, 'f', seen[2], 'p', seen[3], 'w', due }
  if seen[4] then entry[#entry + 1], entry[#entry + 2] = 'a', seen[4] end
  if seen[5] then entry[#entry + 1], entry[#entry + 2] = 'n', seen[5] end
  -- The submission outlives the move: whoever waits for the execution knows it by its first number.
  if not seen[5] then entry[#entry + 1], entry[#entry + 2] = 'n', seen[6] end
  redis.call('HSET', record, 'g', placed, 's', 'queued', 'n', seen[5] or seen[6])
  redis.call('HDEL', record, 'p', 'at')
  if to ~= stream then
    entry[#entry + 1], entry[#entry + 2] = 'pr', seen[7]
    redis.call('HSET', record, 'at', seen[7])
  end
  redis.call('XADD', to, placed .. '-0', unpack(entry))
  moved = moved + 1
end

local due = redis.call('ZRANGEBYSCORE', schedule, '-inf', now, 'WITHSCORES', 'LIMIT', 0, LIMIT)
for i = 1, #due, 2 do
  if bytes >= BYTES then break end
  promote(due[i], due[i + 1])
end
if moved > 0 then redis.call('SET', counter, string.format('%.0f', generation)) end
local out = 0
if lost > 0 then
  out = redis.call('XTRIM', quarantine, 'MAXLEN', MOST)
  out = out + redis.call('XTRIM', quarantine, 'MINID', string.format('%.0f', now - OLDEST_MS))
end
local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local wait = -1
if first[2] then
  wait = math.max(0, math.ceil(tonumber(first[2]) * 1000 - (time[1] * 1000000 + time[2])))
end
return { moved, lost, wait, out }
