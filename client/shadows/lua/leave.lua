-- observes
-- Takes a stopping worker off the books; what it still holds may be taken over at once.
-- Returns 1 when everything of it is gone.
local streams = { KEYS[1], KEYS[2], KEYS[3] }
local leases, workers, functions = KEYS[4], KEYS[5], KEYS[6]
local consumer = ARGV[1]

local held = 0
for _, stream in ipairs(streams) do
  local pending = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1, consumer)
  if not pending.err then
    held = held + #pending
    if #pending == 0 then redis.pcall('XGROUP', 'DELCONSUMER', stream, 'workers', consumer) end
  end
end
-- 0 is a lease that is over and can't be renewed.
if held == 0 then redis.call('ZREM', leases, consumer) else redis.call('ZADD', leases, 0, consumer) end
redis.call('HDEL', workers, consumer)
redis.call('HDEL', functions, consumer)
return held == 0 and 1 or 0
