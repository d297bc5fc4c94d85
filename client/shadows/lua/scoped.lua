-- observes
-- Keeps what a step came to for all executions: claims it for one run, writes its result, or gives the claim back.
-- Returns {"kept", result}, {"new"}: the run may take the step, {"busy"}: another one that holds its execution does, or
-- {"fenced"}: the run has lost its execution.
local step, stream = KEYS[1], KEYS[2]
local generation, consumer, what, ttl, result = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
-- A claim ends with its run. This is for one that nobody asks for again.
local LEAST_CLAIM_MS = 24 * 3600 * 1000

local function holds(of, id, who)
  local pending = redis.pcall('XPENDING', of, 'workers', id, id, 1, who)
  return not pending.err and pending[1]
end

local id = generation .. '-0'
local seen = redis.call('HMGET', step, 'r', 'in', 'id', 'by')
local is_mine = seen[2] == stream and seen[3] == id and seen[4] == consumer
if what == 'release' then
  if is_mine then redis.call('DEL', step) end
  return { 'new' }
end
if not holds(stream, id, consumer) then return { 'fenced' } end
if seen[1] then return { 'kept', seen[1] } end
if what == 'claim' then
  if seen[2] and not is_mine and holds(seen[2], seen[3], seen[4]) then return { 'busy' } end
  redis.call('HSET', step, 'in', stream, 'id', id, 'by', consumer)
  redis.call('PEXPIRE', step, math.max(ttl, LEAST_CLAIM_MS))
  return { 'new' }
end
redis.call('DEL', step)
redis.call('HSET', step, 'r', result)
redis.call('PEXPIRE', step, ttl)
return { 'kept', result }
