-- running -> completed, failed, cancelled, scheduled, queued
-- Writes a batch of outcomes of one worker, each with its successor: a retry, or a perpetual's next run.
-- A failure whose retries are used up is kept in the quarantine, too, for a person to look at.
-- Returns one number an item: 1 settled (perhaps before), 2 superseded by a cancel or a replace, 0 fenced; and then how
-- many old entries of the quarantine its limits pushed out.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local schedule, counter, replies, quarantine, records = KEYS[6], KEYS[7], KEYS[8], KEYS[9], 9
local prefix, sequence, consumer, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local FIRST, FIELDS, SUCCESSOR_FIELDS = 5, 5, 7
local MOST, OLDEST_MS = 10000, 30 * 24 * 3600 * 1000
local BESIDE = { [2] = true, [3] = true }
local WORDS = { c = 'completed', f = 'failed', x = 'cancelled' }

local answered = redis.call('GET', replies)
if answered then
  local last = cmsgpack.unpack(answered)
  if last[1] == sequence then return last[2] end
end

local call, pcall, sub = redis.call, redis.pcall, string.sub
-- A server that is out of memory takes this, and whatever follows a write of the same script: settling frees memory.
call('PEXPIRE', replies, 60000)
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local channel, name_at = prefix .. 'state:', #prefix + 6
local written_by = ' ' .. now .. ' ' .. consumer
local acked = { {}, {}, {}, {}, {} }
local generation, earliest, woken, kept

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

local function next_generation()
  if not generation then
    local last = tonumber(call('GET', counter)) or last_id(streams[1])
    generation = math.max(last, time[1] * 1000000 + time[2])
  end
  generation = generation + 1
  return string.format('%.0f', generation)
end

-- Where executions of a priority go. Whoever wrote the counter anew did not look there, and the first of all is told to
-- the workers, who read there from then on.
local function open(priority)
  local of = prefix .. priority
  generation = math.max(tonumber(next_generation()), last_id(of))
  if call('EXISTS', of) == 0 then call('PUBLISH', prefix .. 'signal', 'priorities') end
  return of
end

-- The successor waits in the schedule or goes to the stream at once; a retry keeps the submission. Returns its state.
local function succeed(record, key, verdict, name, submission, attempt, delay, at, payload, priority)
  at = tonumber(at) or now + tonumber(delay)
  local to = at <= now and priority ~= '' and open(priority) or streams[1]
  local placed = next_generation()
  if verdict ~= 'r' then submission, attempt = placed, 1 end
  call('PERSIST', record)
  call('HDEL', record, 'at', 'p', 'w', 'd', 'l', 'ad')
  if priority ~= '' then call('HSET', record, 'pr', priority) end
  if at > now then
    call('HSET', record, 'g', placed, 'n', submission, 'f', name, 'a', attempt,
      's', 'scheduled', 'w', at, 'p', payload)
    call('ZADD', schedule, at, key)
    if not earliest or at < earliest then earliest = at end
    return 'scheduled'
  end
  call('HSET', record, 'g', placed, 'n', submission, 'f', name, 'a', attempt, 's', 'queued')
  if priority == '' then
    call('XADD', to, placed .. '-0', 'k', key, 'f', name, 'p', payload, 'a', attempt, 'n', submission)
  else
    call('HSET', record, 'at', priority)
    call('XADD', to, placed .. '-0', 'k', key, 'f', name, 'p', payload, 'a', attempt, 'n', submission, 'pr', priority)
  end
  return 'queued'
end

local function keep(stream, id, meta, body, cause)
  local entry = call('XRANGE', stream, id, id)[1]
  if not entry then return end
  kept = true
  call('XADD', quarantine, '*', 'v', 'failed', 'c', cause, 't', string.match(meta, '^%S+ (%S+)'), 'e', body,
    unpack(entry[2]))
end

-- It was settled already by this worker (a reply lost for longer than it is kept), ended by a cancel or a replace,
-- or somebody else runs it or did.
local function not_owned(record, current, number, verdict, submission)
  if type(current) ~= 'string' then return 2 end
  local seen = call('HMGET', record, 's', 'n', 'o')
  local word, ended, by = string.match(seen[3] or '', '^(%a+) (%d+) %S+ %S+ %S+ (.*)$')
  if ended == submission then
    if by == '' then return 2 end
    return by == consumer and word ~= 'quarantined' and 1 or 0
  end
  if current == number then return seen[1] == 'queued' and 0 or 2 end
  return seen[2] == submission and verdict ~= 'r' and 0 or 2
end

-- What follows is read once an item, and a worker settles tens of thousands a second: so no tables here.
local function settle(record, place, number, verdict, meta, body, i)
  local stream, id = streams[place], number .. '-0'
  local owned = pcall('XPENDING', stream, 'workers', id, id, 1, consumer)
  local current = pcall('HGET', record, 'g')
  if owned.err or not owned[1] then return not_owned(record, current, number, verdict, string.match(meta, '^%d+')) end
  if sub(verdict, 1, 1) == 'b' then
    call('XCLAIM', stream, 'workers', 'reclaimed', 0, id, 'JUSTID')
    woken = true
    return 1
  end
  local ids = acked[place]
  ids[#ids + 1] = id
  if current ~= number then
    if current then return 2 end
    -- A lost record does not lose the outcome: it is written anew.
    local entry = call('XRANGE', stream, id, id)[1]
    if not entry then return 2 end
    call('HSET', record, 'g', number)
    for at = 1, #entry[2], 2 do
      if entry[2][at] == 'f' then call('HSET', record, 'f', entry[2][at + 1]) end
    end
  end
  local follows = #verdict > 1
  if follows then
    if sub(verdict, 2, 2) == 'k' then
      keep(stream, id, meta, body, ARGV[i])
      i = i + 1
      follows = #verdict > 2
    end
    verdict = sub(verdict, 1, 1)
  end
  local word = WORDS[verdict]
  if ttl == 0 and not follows then
    call('DEL', record)
  elseif ttl > 0 and word then
    -- Always with the body: an empty one must not leave that of an earlier outcome.
    call('HSET', record, 's', word, 'o', word .. ' ' .. meta .. written_by, 'r', body)
    call('PEXPIRE', record, ttl)
  end
  local key = sub(record, name_at)
  if follows then
    local state = succeed(record, key, verdict, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5],
      ARGV[i + 6])
    -- A retry is no end. The next run of a perpetual is a submission of its own, which nobody waits for yet.
    word = word or state
  end
  call('PUBLISH', channel .. key, string.match(meta, '^%S+') .. ' ' .. word)
  return 1
end

local out, n, cursor = {}, 0, FIRST
while cursor <= #ARGV do
  n = n + 1
  local verdict = ARGV[cursor + 2]
  out[n] = settle(KEYS[records + n], tonumber(ARGV[cursor]), ARGV[cursor + 1], verdict, ARGV[cursor + 3],
    ARGV[cursor + 4], cursor + FIELDS)
  cursor = cursor + FIELDS
  if #verdict > 1 then
    if sub(verdict, 2, 2) == 'k' then cursor = cursor + 1 end
    if sub(verdict, -1) == 'n' then cursor = cursor + SUCCESSOR_FIELDS end
  end
end
for place, ids in ipairs(acked) do
  if #ids > 0 then
    call('XACK', streams[place], 'workers', unpack(ids))
    call('XDEL', streams[place], unpack(ids))
    if BESIDE[place] and call('XLEN', streams[place]) == 0 then call('DEL', streams[place]) end
  end
end
local out_of_quarantine = 0
if kept then
  out_of_quarantine = call('XTRIM', quarantine, 'MAXLEN', MOST)
  out_of_quarantine = out_of_quarantine + call('XTRIM', quarantine, 'MINID', string.format('%.0f', now - OLDEST_MS))
end
out[n + 1] = out_of_quarantine
if generation then call('SET', counter, string.format('%.0f', generation)) end
call('SET', replies, cmsgpack.pack({ sequence, out }), 'PX', 60000)
if earliest then
  local first = call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) == earliest then call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
end
if woken then call('PUBLISH', prefix .. 'signal', 'work') end
return out
