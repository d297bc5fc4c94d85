-- observes
-- Asks the workers, those of now and those that come, to announce for a minute that a run of this key begins.
-- Returns 1.
local watched = KEYS[1]
local signal, key, most_ms = ARGV[1], ARGV[2], 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', watched, '-inf', now)
redis.call('ZADD', watched, now + most_ms, key)
redis.call('PEXPIRE', watched, most_ms)
redis.call('PUBLISH', signal, 'watch ' .. key)
return 1
