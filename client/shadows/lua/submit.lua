-- none, completed, failed, cancelled, quarantined, scheduled, queued, running -> scheduled, queued
-- Places a batch of submissions, each whole or not at all; a replace takes the place of what its key had.
-- Returns one string an item: "q<generation>" queued, "s<generation>" scheduled, "=<submission>" the key is
-- busy, "!<error>" this item failed; or the single string "strikes" when the caller's strikes are out of date.
local stream, schedule, counter = KEYS[1], KEYS[2], KEYS[3]
local strikes, replies, records = KEYS[4], KEYS[5], 5
local prefix, sequence, known_strikes = ARGV[1], ARGV[2], ARGV[3]
local FIRST, FIELDS = 4, 5

local answered = redis.call('GET', replies)
if answered then
  local last = cmsgpack.unpack(answered)
  if last[1] == sequence then return last[2] end
end
if (redis.call('HGET', strikes, 'version') or '0') ~= known_strikes then return 'strikes' end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local earliest

-- The counter follows the clock, so that it rises even over a flush; where only it was lost, the
-- stream still tells how far it had come.
local function last_generation()
  local last = redis.call('GET', counter)
  if not last and redis.call('EXISTS', stream) == 1 then
    local info = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then last = string.match(info[i + 1], '^%d+') end
    end
  end
  return math.max(tonumber(last or 0), time[1] * 1000000 + time[2])
end
local generation = last_generation()

-- Busy is derived from where the execution is, so that a lost entry can't leave its key locked.
local function find(record, key)
  local state = redis.pcall('HGET', record, 's')
  if not state then return nil end
  if type(state) == 'table' then return nil, state.err end
  local seen = redis.call('HMGET', record, 'g', 'at', 'n')
  local found = { state = state, generation = seen[1], stream = prefix .. (seen[2] or 'stream'),
    submission = seen[3] or seen[1] }
  if state == 'scheduled' then
    found.busy = redis.call('ZSCORE', schedule, key)
  elseif state == 'queued' and seen[1] then
    local id = seen[1] .. '-0'
    found.busy = #redis.call('XRANGE', found.stream, id, id) > 0
  end
  return found
end

-- A running predecessor runs on, but finds its entry gone when it settles: its end does not count.
local function unplace(record, key, found)
  if found.state == 'scheduled' then
    redis.call('ZREM', schedule, key)
  else
    redis.pcall('XACK', found.stream, 'workers', found.generation .. '-0')
    redis.call('XDEL', found.stream, found.generation .. '-0')
  end
  local outcome = table.concat({ 'cancelled', found.submission, 0, now, 0, '' }, ' ')
  redis.call('HSET', record, 'o', outcome, 'r', 'replaced')
  redis.call('PUBLISH', prefix .. 'state:' .. key, found.submission .. ' x')
end

local function place(record, key, name, payload, mode, due)
  local found, failure = find(record, key)
  if failure then return '!' .. failure end
  if found then
    if found.busy and mode == 'a' then return '=' .. found.submission end
    if found.busy then unplace(record, key, found) end
    redis.call('PERSIST', record)
    redis.call('HDEL', record, 'p', 'w', 'at', 'n', 'a', 'd', 'l', 'pc', 'pt', 'pm')
  end
  generation = generation + 1
  local placed = string.format('%.0f', generation)
  local at
  if due ~= '' then
    at = tonumber(due)
    if string.sub(due, 1, 1) == '+' then at = now + at end
  end
  if at and at > now then
    redis.call('HSET', record, 'g', placed, 's', 'scheduled', 'f', name, 'w', at, 'p', payload)
    redis.call('ZADD', schedule, at, key)
    if not earliest or at < earliest then earliest = at end
    return 's' .. placed
  end
  redis.call('HSET', record, 'g', placed, 's', 'queued', 'f', name)
  local added = redis.pcall('XADD', stream, placed .. '-0', 'k', key, 'f', name, 'p', payload)
  if type(added) == 'table' then
    redis.call('DEL', record)
    return '!' .. added.err
  end
  return 'q' .. placed
end

local out = {}
for i = FIRST, #ARGV, FIELDS do
  local n = #out + 1
  out[n] = place(KEYS[records + n], ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
redis.call('SET', counter, string.format('%.0f', generation))
redis.call('SET', replies, cmsgpack.pack({ sequence, out }), 'PX', 60000)
if earliest then
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) == earliest then redis.call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
end
return out
