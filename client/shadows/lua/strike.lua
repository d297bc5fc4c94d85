-- observes
-- Adds or lifts one strike, raises the version, and tells every worker.
-- Returns the new version.
local strikes = KEYS[1]
local channel, action, strike = ARGV[1], ARGV[2], ARGV[3]

if action == 'strike' then
  redis.call('HSET', strikes, strike, '1')
else
  redis.call('HDEL', strikes, strike)
end
local version = redis.call('HINCRBY', strikes, 'version', 1)
redis.call('PUBLISH', channel, 'strikes ' .. version)
return tostring(version)
