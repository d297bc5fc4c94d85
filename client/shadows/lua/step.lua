-- observes
-- Keeps what a step of a run came to, in the record of its key, unless it is kept already; without a result it looks.
-- Returns {"kept", result}, {"new", how many steps are kept}, or {"fenced"}: the run has lost its execution.
local record, stream = KEYS[1], KEYS[2]
local generation, consumer, submission, field, result = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local id = generation .. '-0'
local owned = redis.pcall('XPENDING', stream, 'workers', id, id, 1, consumer)
if owned.err or not owned[1] then return { 'fenced' } end

local seen = redis.call('HMGET', record, 'ss', 'sc', field)
local kept, count = seen[3], tonumber(seen[2] or 0)
if seen[1] ~= submission then kept, count = false, 0 end
if kept then return { 'kept', kept } end
if not result then return { 'new', count } end
if seen[1] and seen[1] ~= submission then
  -- Of an earlier submission of the key, such as the last run of a perpetual task: at most as many as one may have.
  for _, name in ipairs(redis.call('HKEYS', record)) do
    if string.sub(name, 1, 5) == 'step:' then redis.call('HDEL', record, name) end
  end
end
redis.call('HSET', record, 'ss', submission, 'sc', count + 1, field, result)
return { 'kept', result }
