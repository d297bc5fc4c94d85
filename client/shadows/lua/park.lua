-- running -> queued
-- Parks an entry that this worker can't run until one comes that can, or until its function is not paused any more:
-- then `pause` is the field that says that it is, among the strikes. No attempt and no death is counted.
-- Returns 1 parked, 0 not ours any more, 2 not paused any more.
local stream, parked, index, counter, record = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ready, strikes = KEYS[6], KEYS[7]
local place, generation, consumer, name, pause = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local id = generation .. '-0'

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

-- Whoever resumes brings back what is parked by then: an entry that came later would wait for ever.
if pause ~= '' and redis.call('HEXISTS', strikes, pause) == 0 then return 2 end
local owned = redis.pcall('XPENDING', stream, 'workers', id, id, 1, consumer)
local entry = redis.call('XRANGE', stream, id, id)[1]
if owned.err or #owned == 0 or not entry then return 0 end

local time = redis.call('TIME')
-- Whoever wrote the counter anew did not look at what is parked.
local last = math.max(tonumber(redis.call('GET', counter)) or last_id(ready), last_id(parked))
local placed = string.format('%.0f', math.max(last, time[1] * 1000000 + time[2]) + 1)
redis.call('SET', counter, placed)
local fields, named = entry[2], false
for i = 1, #fields, 2 do named = named or fields[i] == 'n' end
-- Whoever waits for it knows it by its first number, also when its record is lost.
if not named then fields[#fields + 1], fields[#fields + 2] = 'n', generation end
local seen = redis.pcall('HMGET', record, 'g', 'n')
if seen[1] == generation then
  redis.call('HSET', record, 'g', placed, 'n', seen[2] or generation, 'at', place)
end
redis.call('ZADD', index, 'NX', time[1] * 1000, name)
redis.call('XADD', parked, placed .. '-0', unpack(fields))
redis.call('XACK', stream, 'workers', id)
redis.call('XDEL', stream, id)
return 1
