-- observes
-- Renews one worker's lease and tells it what it should look at; the one command an idle worker repeats.
-- Returns {kept, now, next due ms, strikes version, what waits beside the stream (1 work, 2 suspects, 4 at gates; 8:
-- priorities are in use, 16: nobody knows which functions this worker has), nearest expiry, parked function names, dead
-- consumers}; kept is 0 when somebody took this worker's tasks meanwhile.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local leases, workers, schedule, strikes, unknown = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local counter, functions, gates = KEYS[11], KEYS[12], KEYS[13]
local consumer, lease, row, sure_until = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local NAMES, DEAD, DAY_MS = 100, 20, 24 * 3600 * 1000
local RETURNED, SUSPECTS = 2, 3

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A take-over leaves no lease, or 0 while it lasts. After a flush the lease is gone too, but nobody took anything:
-- who comes within its lease, by this clock and however long the call was on its way, can't have been taken over,
-- and otherwise the counter is gone with it.
local expiry = redis.call('ZSCORE', leases, consumer)
if expiry == '0' or (not expiry and now >= sure_until and redis.call('EXISTS', counter) == 1) then
  return { 0, now, -1, '0', 0, -1, {}, {} }
end
-- A server that is out of memory takes this, and whatever follows a write of the same script: it needs its workers.
redis.call('PEXPIRE', leases, math.max(DAY_MS, 10 * lease))
redis.call('ZADD', leases, now + lease, consumer)
redis.call('HSET', workers, consumer, row)
redis.call('PEXPIRE', leases, math.max(DAY_MS, 10 * lease))
redis.call('PEXPIRE', workers, math.max(DAY_MS, 10 * lease))
redis.call('PEXPIRE', functions, math.max(DAY_MS, 10 * lease))

local function waits(place)
  local stream = streams[place]
  local held = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1, 'reclaimed')
  if held.err then return false end
  if #held > 0 then return true end
  -- Of the others a worker hears by reading them.
  local is_beside = place == RETURNED or place == SUSPECTS
  return is_beside and redis.call('XLEN', stream) > redis.call('XPENDING', stream, 'workers')[1]
end
local beside = 0
local in_use = redis.call('EXISTS', streams[4], streams[5]) > 0
if waits(1) or waits(RETURNED) or (in_use and (waits(4) or waits(5))) then beside = 1 end
if waits(SUSPECTS) then beside = beside + 2 end
if redis.call('EXISTS', gates) == 1 then beside = beside + 4 end
if in_use then beside = beside + 8 end
if redis.pcall('HEXISTS', functions, consumer) == 0 then beside = beside + 16 end
local due = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]
local wait = -1
if due then wait = math.max(0, math.ceil(tonumber(due) - now)) end
local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, DEAD)
local nearest = redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local ends_in = -1
if nearest then ends_in = math.ceil(tonumber(nearest) - now) end
return {
  1, now, wait, redis.call('HGET', strikes, 'version') or '0', beside, ends_in,
  redis.call('ZRANGE', unknown, 0, NAMES - 1), dead,
}
