-- scheduled, queued, running -> cancelled
-- Ends an execution wherever it is, frees its key at once, and tells the worker that runs it.
-- Returns 1 when there was something to cancel, 0 when there was not.
local record, schedule, replies = KEYS[1], KEYS[2], KEYS[3]
local prefix, sequence, key, ttl, reason = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local answered = redis.call('GET', replies)
if answered then
  local last = cmsgpack.unpack(answered)
  if last[1] == sequence then return last[2] end
end
local function reply(count)
  redis.call('SET', replies, cmsgpack.pack({ sequence, count }), 'PX', 60000)
  return count
end

local seen = redis.pcall('HMGET', record, 's', 'g', 'at', 'n')
if seen.err or not seen[2] then return reply(0) end
local state, generation, submission = seen[1], seen[2], seen[4] or seen[2]
if state ~= 'scheduled' and state ~= 'queued' then return reply(0) end

local stream, id = prefix .. (seen[3] or 'stream'), generation .. '-0'
if state == 'scheduled' then
  redis.call('ZREM', schedule, key)
else
  redis.pcall('XACK', stream, 'workers', id)
  redis.call('XDEL', stream, id)
  redis.call('PUBLISH', prefix .. 'signal', 'cancel ' .. id)
  -- It may have had a place at a gate where others wait.
  if redis.call('EXISTS', prefix .. 'gates') == 1 then redis.call('PUBLISH', prefix .. 'signal', 'gate') end
end
if ttl == 0 then
  redis.call('DEL', record)
else
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HDEL', record, 'p', 'w', 'at')
  redis.call('HSET', record, 's', 'cancelled', 'r', reason,
    'o', table.concat({ 'cancelled', submission, 0, -1, now, '' }, ' '))
  redis.call('PEXPIRE', record, ttl)
end
redis.call('PUBLISH', prefix .. 'state:' .. key, submission .. ' cancelled')
return reply(1)
