-- observes
-- Writes the progress of a run, as long as that run is the current one of its key.
-- Returns 1 written, 0 the run does not count any more.
local record = KEYS[1]
local channel, generation, current, total, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local seen = redis.call('HMGET', record, 'g', 'n')
if seen[1] ~= generation then return 0 end
redis.call('HSET', record, 'pc', current, 'pt', total, 'pm', message)
redis.call('PUBLISH', channel, (seen[2] or generation) .. ' progress')
return 1
