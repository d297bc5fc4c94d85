-- running, queued -> quarantined
-- Takes one entry out of work for good, with the cause, and frees its key.
-- Returns {1, how many old entries the limits pushed out}; {0, 0} when the entry is not ours any more.
local stream, quarantine, record = KEYS[1], KEYS[2], KEYS[3]
local prefix, generation, consumer, cause = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ttl, key = tonumber(ARGV[5]), ARGV[6]
local MOST, OLDEST_MS, MOST_FIELDS = 10000, 30 * 24 * 3600 * 1000, 200
-- An entry that somebody else wrote may have an id that is none of ours.
local id = string.find(generation, '-', 1, true) and generation or generation .. '-0'

-- A parked entry has no group and no owner; the consumer's name is empty then.
if consumer ~= '' then
  local owned = redis.pcall('XPENDING', stream, 'workers', id, id, 1, consumer)
  if owned.err or #owned == 0 then return { 0, 0 } end
end
local entry = redis.call('XRANGE', stream, id, id)[1]
if not entry then return { 0, 0 } end

local kept = redis.call('XADD', quarantine, '*', 'v', 'running', 'c', cause, unpack(entry[2], 1, math.min(#entry[2], MOST_FIELDS)))
if consumer ~= '' then redis.call('XACK', stream, 'workers', id) end
redis.call('XDEL', stream, id)
-- It may have had a place at a gate where others wait.
if redis.call('EXISTS', prefix .. 'gates') == 1 then redis.call('PUBLISH', prefix .. 'signal', 'gate') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.pcall('HMGET', record, 'g', 'n')
local submission = seen[1] == generation and (seen[2] or seen[1])
if submission then
  redis.call('HSET', record, 's', 'quarantined', 'r', kept .. ' ' .. cause,
    'o', table.concat({ 'quarantined', submission, 0, -1, now, consumer }, ' '))
  redis.call('PEXPIRE', record, math.max(ttl, 60000))
elseif not seen[1] and key ~= '' then
  -- Its record is gone, and with it what it was; whoever waits for it need not wait until it looks again.
  submission = '0'
end
if submission then redis.call('PUBLISH', prefix .. 'state:' .. key, submission .. ' quarantined') end
local out = redis.call('XTRIM', quarantine, 'MAXLEN', MOST)
out = out + redis.call('XTRIM', quarantine, 'MINID', string.format('%.0f', now - OLDEST_MS))
return { 1, out }
