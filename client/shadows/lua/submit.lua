-- none, completed, failed, cancelled, quarantined, scheduled, queued, running -> scheduled, queued
-- Places a batch of submissions, each whole or not at all; a replace takes the place of what its key had.
-- Returns one string an item: "q<generation>" queued, "s<generation>" scheduled, "=<submission>" the key is
-- busy, "!<error>" this item failed; or the single string "strikes" when the caller's strikes are out of date.
local stream, schedule, counter = KEYS[1], KEYS[2], KEYS[3]
local strikes, replies, records = KEYS[4], KEYS[5], 5
local prefix, sequence, known_strikes = ARGV[1], ARGV[2], ARGV[3]
local FIRST, FIELDS = 4, 3

local call, pcall, sub, format = redis.call, redis.pcall, string.sub, string.format
local key_at = #prefix + 6

local answered = call('GET', replies)
if answered then
  local last = cmsgpack.unpack(answered)
  if last[1] == sequence then return last[2] end
  -- A copy that a network held back while its sender went on with later ones: nobody waits for an answer.
  if tonumber(last[1]) > tonumber(sequence) then return 'stale' end
end
if (call('HGET', strikes, 'version') or '0') ~= known_strikes then return 'strikes' end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local earliest

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end
local last = tonumber(call('GET', counter)) or last_id(stream)
local generation = math.max(last, time[1] * 1000000 + time[2])

-- Busy is derived from where the execution is, so that a lost entry can't leave its key locked.
local function find(record, key)
  local state = pcall('HGET', record, 's')
  if type(state) == 'table' then return nil, state.err end
  local seen = call('HMGET', record, 'g', 'at', 'n')
  local found = { state = state, generation = seen[1], stream = prefix .. (seen[2] or 'stream'),
    submission = seen[3] or seen[1] }
  if state == 'scheduled' then
    found.busy = call('ZSCORE', schedule, key)
  elseif state == 'queued' and seen[1] then
    local id = seen[1] .. '-0'
    found.busy = #call('XRANGE', found.stream, id, id) > 0
  end
  return found
end

-- A running predecessor runs on, but finds its entry gone when it settles: its end does not count.
local function unplace(record, key, found)
  if found.state == 'scheduled' then
    call('ZREM', schedule, key)
  else
    pcall('XACK', found.stream, 'workers', found.generation .. '-0')
    call('XDEL', found.stream, found.generation .. '-0')
    -- It may have had a place at a gate where others wait.
    if call('EXISTS', prefix .. 'gates') == 1 then call('PUBLISH', prefix .. 'signal', 'gate') end
  end
  local outcome = table.concat({ 'cancelled', found.submission, 0, -1, now, '' }, ' ')
  call('HSET', record, 'o', outcome, 'r', 'replaced')
  call('PUBLISH', prefix .. 'state:' .. key, found.submission .. ' cancelled')
end

local function free(record, key, mode)
  local found, failure = find(record, key)
  if failure then return '!' .. failure end
  if found.busy and mode == 'a' then return '=' .. found.submission end
  if found.busy then unplace(record, key, found) end
  call('PERSIST', record)
  call('HDEL', record, 'p', 'w', 'at', 'n', 'a', 'd', 'l', 'ad', 'pr', 'pc', 'pt', 'pm')
end

local function plan(record, key, placed, name, payload, at)
  call('HSET', record, 'g', placed, 's', 'scheduled', 'f', name, 'w', at, 'p', payload)
  call('ZADD', schedule, at, key)
  if not earliest or at < earliest then earliest = at end
  return 's' .. placed
end

-- Where executions of a priority go. Whoever wrote the counter anew did not look there, and the first of all is told to
-- the workers, who read there from then on.
local opened = {}
local function open(priority)
  local of = prefix .. priority
  if not opened[of] then
    opened[of] = true
    generation = math.max(generation, last_id(of))
    if call('EXISTS', of) == 0 then call('PUBLISH', prefix .. 'signal', 'priorities') end
  end
  return of
end

local function answer(record, placed, added)
  if type(added) == 'string' then return 'q' .. placed end
  call('DEL', record)
  return '!' .. added.err
end

local PRIORITIES = { h = 'high', l = 'low' }

-- With a priority that is not the normal one, or for later.
local function place_so(record, key, name, payload, mode)
  local priority, due = PRIORITIES[sub(mode, 2, 2)], string.match(mode, '[+%d]*$')
  local at = tonumber(due)
  if at and sub(due, 1, 1) == '+' then at = now + at end
  local is_due = not at or at <= now
  local to = is_due and priority and open(priority) or stream
  generation = generation + 1
  local placed = format('%.0f', generation)
  if priority then call('HSET', record, 'pr', priority) end
  if not is_due then return plan(record, key, placed, name, payload, at) end
  call('HSET', record, 'g', placed, 's', 'queued', 'f', name)
  local id = placed .. '-0'
  if not priority then return answer(record, placed, pcall('XADD', to, id, 'k', key, 'f', name, 'p', payload)) end
  call('HSET', record, 'at', priority)
  return answer(record, placed, pcall('XADD', to, id, 'k', key, 'f', name, 'p', payload, 'pr', priority))
end

-- Most submissions are new keys, of the normal priority, due now: two reads and two writes, and nothing else on their way.
local function place(record, name, payload, mode)
  local key = sub(record, key_at)
  local state = pcall('HGET', record, 's')
  if state then
    local refusal = free(record, key, sub(mode, 1, 1))
    if refusal then return refusal end
  end
  if #mode > 1 then return place_so(record, key, name, payload, mode) end
  generation = generation + 1
  local placed = format('%.0f', generation)
  call('HSET', record, 'g', placed, 's', 'queued', 'f', name)
  local added = pcall('XADD', stream, placed .. '-0', 'k', key, 'f', name, 'p', payload)
  if type(added) == 'string' then return 'q' .. placed end
  return answer(record, placed, added)
end

local out, n = {}, 0
for i = FIRST, #ARGV, FIELDS do
  n = n + 1
  out[n] = place(KEYS[records + n], ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
call('SET', counter, string.format('%.0f', generation))
call('SET', replies, cmsgpack.pack({ sequence, out }), 'PX', 60000)
if earliest then
  local first = call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) == earliest then call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
end
return out
