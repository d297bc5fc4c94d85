-- observes
-- Counts what a worker that runs until finished still has to wait for.
-- Returns {ready or running, scheduled, parked functions, quarantined, paused functions}; the last three are not waited
-- for.
local streams, schedule, unknown, quarantine = { KEYS[1], KEYS[2], KEYS[3], KEYS[7] }, KEYS[4], KEYS[5], KEYS[6]
local paused = KEYS[8]

-- Whatever is done is deleted, so the length of a stream is what waits and what runs.
local ready = 0
for _, stream in ipairs(streams) do ready = ready + redis.call('XLEN', stream) end
return {
  ready, redis.call('ZCARD', schedule), redis.call('ZCARD', unknown), redis.call('XLEN', quarantine),
  redis.call('ZCARD', paused),
}
