-- running -> queued
-- Takes a stopping worker off the books, and hands what it still holds to the living, at most 200 entries a call.
-- Returns 1 when everything of it is gone, 0 when more is to be handed over.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local leases, workers, functions = KEYS[6], KEYS[7], KEYS[8]
local consumer, prefix = ARGV[1], ARGV[2]
local LIMIT = 200

redis.call('ZREM', leases, consumer) -- first, since a server that is out of memory takes it, and then the rest
redis.call('HDEL', workers, consumer)
redis.call('HDEL', functions, consumer)
local moved, left = 0, 0
for _, stream in ipairs(streams) do
  local held = redis.pcall('XPENDING', stream, 'workers', '-', '+', LIMIT - moved + 1, consumer)
  if not held.err then
    for _, entry in ipairs(held) do
      if moved < LIMIT then
        redis.call('XCLAIM', stream, 'workers', 'reclaimed', 0, entry[1], 'JUSTID')
        moved = moved + 1
      else
        left = left + 1
      end
    end
    if left == 0 then redis.pcall('XGROUP', 'DELCONSUMER', stream, 'workers', consumer) end
  end
end
-- 0 is a lease that is over and can't be renewed: whoever leaves may die before all is handed over.
if left > 0 then redis.call('ZADD', leases, 0, consumer) end
if moved > 0 then redis.call('PUBLISH', prefix .. 'signal', 'work') end
return left == 0 and 1 or 0
