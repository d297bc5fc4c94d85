-- running -> completed, failed, cancelled, scheduled, queued
-- Writes a batch of outcomes of one worker, each with its successor: a retry, or a perpetual's next run.
-- Returns one number an item: 1 settled, 2 superseded by a cancel or a replace, 0 not yours (fenced).
local streams = { KEYS[1], KEYS[2], KEYS[3] }
local schedule, counter, replies, records = KEYS[4], KEYS[5], KEYS[6], 6
local prefix, sequence, consumer, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local FIRST, FIELDS, SUCCESSOR_FIELDS = 5, 9, 3
local WORDS = { c = 'completed', f = 'failed', x = 'cancelled' }

local answered = redis.call('GET', replies)
if answered then
  local last = cmsgpack.unpack(answered)
  if last[1] == sequence then return last[2] end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation, earliest, woken
local acked = { {}, {}, {} }

local function next_generation()
  if not generation then
    generation = math.max(tonumber(redis.call('GET', counter) or 0), time[1] * 1000000 + time[2])
  end
  generation = generation + 1
  return string.format('%.0f', generation)
end

local function keep_outcome(item)
  local word = WORDS[item.verdict]
  local outcome = table.concat(
    { word, item.submission, now - item.elapsed, now, item.attempt, consumer }, ' ')
  redis.call('HSET', item.record, 's', word, 'o', outcome, 'r', item.body, 'f', item.name)
  redis.call('PEXPIRE', item.record, ttl)
end

-- The successor waits in the schedule or goes to the stream at once; a retry keeps the submission.
local function succeed(item, next_step)
  local placed = next_generation()
  local submission, attempt = placed, 1
  if item.verdict == 'r' then submission, attempt = item.submission, item.attempt + 1 end
  redis.call('PERSIST', item.record)
  redis.call('HDEL', item.record, 'at', 'p', 'w', 'd', 'l')
  local at = next_step.at or now + next_step.delay
  local live = { 'HSET', item.record, 'g', placed, 'n', submission, 'f', item.name, 'a', attempt }
  if at > now then
    live[#live + 1], live[#live + 2], live[#live + 3], live[#live + 4] = 's', 'scheduled', 'w', at
    live[#live + 1], live[#live + 2] = 'p', next_step.payload
    redis.call(unpack(live))
    redis.call('ZADD', schedule, at, item.key)
    if not earliest or at < earliest then earliest = at end
  else
    live[#live + 1], live[#live + 2] = 's', 'queued'
    redis.call(unpack(live))
    redis.call('XADD', streams[1], placed .. '-0', 'k', item.key, 'f', item.name,
      'p', next_step.payload, 'a', attempt, 'n', submission)
  end
end

local function hand_back(item)
  redis.call('XCLAIM', streams[item.place], 'workers', 'reclaimed', 0, item.id, 'JUSTID')
  woken = true
  return 1
end

local function settle(item, next_step)
  local stream = streams[item.place]
  item.id = item.generation .. '-0'
  local owned = redis.pcall('XPENDING', stream, 'workers', item.id, item.id, 1, consumer)
  local current = redis.pcall('HGET', item.record, 'g')
  if owned.err or #owned == 0 then
    local queued = current == item.generation and redis.call('HGET', item.record, 's') == 'queued'
    return queued and 0 or 2
  end
  if item.verdict == 'b' then return hand_back(item) end
  local ids = acked[item.place]
  ids[#ids + 1] = item.id
  if type(current) == 'table' then return 2 end
  if current and current ~= item.generation then return 2 end
  -- A lost record does not lose the outcome: it is written anew.
  if not current then redis.call('HSET', item.record, 'g', item.generation) end
  if item.verdict ~= 'r' and ttl > 0 then keep_outcome(item) end
  if next_step then
    succeed(item, next_step)
  elseif ttl == 0 then
    redis.call('DEL', item.record)
  end
  redis.call('PUBLISH', prefix .. 'state:' .. item.key, item.submission .. ' ' .. item.verdict)
  return 1
end

local out, cursor = {}, FIRST
while cursor <= #ARGV do
  local n = #out + 1
  local item = {
    record = KEYS[records + n], place = tonumber(ARGV[cursor]), generation = ARGV[cursor + 1],
    key = ARGV[cursor + 2], name = ARGV[cursor + 3], submission = ARGV[cursor + 4],
    attempt = tonumber(ARGV[cursor + 5]), elapsed = tonumber(ARGV[cursor + 6]),
    body = ARGV[cursor + 7], verdict = string.sub(ARGV[cursor + 8], 1, 1),
  }
  local next_step
  if #ARGV[cursor + 8] > 1 then
    next_step = { delay = tonumber(ARGV[cursor + 9]), at = tonumber(ARGV[cursor + 10]),
      payload = ARGV[cursor + 11] }
    cursor = cursor + SUCCESSOR_FIELDS
  end
  cursor = cursor + FIELDS
  out[n] = settle(item, next_step)
end
for place, ids in ipairs(acked) do
  if #ids > 0 then
    redis.call('XACK', streams[place], 'workers', unpack(ids))
    redis.call('XDEL', streams[place], unpack(ids))
    if place > 1 and redis.call('XLEN', streams[place]) == 0 then redis.call('DEL', streams[place]) end
  end
end
if generation then redis.call('SET', counter, string.format('%.0f', generation)) end
redis.call('SET', replies, cmsgpack.pack({ sequence, out }), 'PX', 60000)
if earliest then
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) == earliest then redis.call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
end
if woken then redis.call('PUBLISH', prefix .. 'signal', 'work') end
return out
