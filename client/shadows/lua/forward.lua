-- observes
-- Brings the due times of the schedule closer by a time, for tests that move the clock; at most 200 a call, from the
-- earliest to the latest. With a time of 0 it only looks. The last call tells the workers.
-- Returns how many are still to be moved, how many are ready or run, and the microseconds until the next of the
-- schedule is due (-1: nothing is scheduled).
local schedule, streams = KEYS[1], { KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7] }
local prefix, by, left = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local LIMIT = 200

local count = redis.call('ZCARD', schedule)
if left < 0 or left > count then left = count end
if by > 0 and left > 0 then
  -- Those that were not moved are the last ones, also when some of the first were due meanwhile and are gone.
  local last = math.min(-left + LIMIT, 0) - 1
  local page = redis.call('ZRANGE', schedule, -left, last, 'WITHSCORES')
  for i = 1, #page, 2 do
    local due = string.format('%.0f', tonumber(page[i + 1]) - by)
    redis.call('ZADD', schedule, 'XX', due, page[i])
    local record = prefix .. 'task:' .. page[i]
    if redis.pcall('HGET', record, 's') == 'scheduled' then redis.call('HSET', record, 'w', due) end
    left = left - 1
  end
end

local ready = 0
for _, stream in ipairs(streams) do ready = ready + redis.call('XLEN', stream) end
local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
if not first[2] then return { 0, ready, -1 } end
if by > 0 and left == 0 then redis.call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
local time = redis.call('TIME')
return { left, ready, math.max(0, math.ceil(tonumber(first[2]) * 1000 - (time[1] * 1000000 + time[2]))) }
