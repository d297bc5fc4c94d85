-- observes
-- Renews one worker's lease and tells it what it should look at; the one command an idle worker repeats.
-- Returns {kept, now, next due ms, strikes version, work beside the stream, nearest expiry of a lease,
-- parked function names, dead consumers}; kept is 0 when somebody took this worker's tasks meanwhile.
local streams = { KEYS[1], KEYS[2], KEYS[3] }
local leases, workers, schedule, strikes, unknown = KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local counter, functions = KEYS[9], KEYS[10]
local consumer, lease, row, is_first = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local NAMES, DEAD, DAY_MS = 100, 20, 24 * 3600 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- After a flush everything is gone, the counter too, and nobody took anything.
if not is_first and not redis.call('ZSCORE', leases, consumer) and redis.call('EXISTS', counter) == 1 then
  return { 0, now, -1, '0', 0, -1, {}, {} }
end
redis.call('ZADD', leases, now + lease, consumer)
redis.call('HSET', workers, consumer, row)
redis.call('PEXPIRE', leases, math.max(DAY_MS, 10 * lease))
redis.call('PEXPIRE', workers, math.max(DAY_MS, 10 * lease))
redis.call('PEXPIRE', functions, math.max(DAY_MS, 10 * lease))

local function waits_beside()
  for place, stream in ipairs(streams) do
    local held = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1, 'reclaimed')
    if not held.err and #held > 0 then return 1 end
    if place > 1 and redis.call('XLEN', stream) > 0 then return 1 end
  end
  return 0
end
local due = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]
local wait = -1
if due then wait = math.max(0, math.ceil(tonumber(due) - now)) end
local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, DEAD)
local nearest = redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local expiry = -1
if nearest then expiry = math.ceil(tonumber(nearest) - now) end
return {
  1, now, wait, redis.call('HGET', strikes, 'version') or '0', waits_beside(), expiry,
  redis.call('ZRANGE', unknown, 0, NAMES - 1), dead,
}
