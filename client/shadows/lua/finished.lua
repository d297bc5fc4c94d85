-- observes
-- Counts what a worker that runs until finished still has to wait for.
-- Returns {ready or running, scheduled, parked functions, quarantined, paused functions}; the last three are not waited
-- for.
local schedule, unknown, quarantine, paused, streams = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 5

-- Whatever is done is deleted, so the length of a stream is what waits and what runs.
local ready = 0
for i = streams, #KEYS do ready = ready + redis.call('XLEN', KEYS[i]) end
return {
  ready, redis.call('ZCARD', schedule), redis.call('ZCARD', unknown), redis.call('XLEN', quarantine),
  redis.call('ZCARD', paused),
}
