-- quarantined -> queued
-- Gives a quarantined entry back to the workers, as a new submission of its key.
-- Returns the new generation; "" when there is no such entry, "busy" when its key is in use (it stays).
local stream, quarantine, counter, schedule, record = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, id, key = ARGV[1], ARGV[2], ARGV[3]

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

local entry = redis.call('XRANGE', quarantine, id, id)[1]
if not entry then return '' end
local seen = redis.pcall('HMGET', record, 's', 'g', 'at')
if seen.err then return 'busy' end
if seen[1] == 'scheduled' and redis.call('ZSCORE', schedule, key) then return 'busy' end
if seen[1] == 'queued' then
  local held = prefix .. (seen[3] or 'stream')
  if #redis.call('XRANGE', held, seen[2] .. '-0', seen[2] .. '-0') > 0 then return 'busy' end
end
local fields = {}
for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
-- Whoever wrote the counter anew did not look there.
local to = (fields.pr == 'high' or fields.pr == 'low') and prefix .. fields.pr or stream
if to ~= stream and redis.call('EXISTS', to) == 0 then redis.call('PUBLISH', prefix .. 'signal', 'priorities') end
local time = redis.call('TIME')
local last = math.max(tonumber(redis.call('GET', counter)) or last_id(stream), last_id(to))
local placed = string.format('%.0f', math.max(last, time[1] * 1000000 + time[2]) + 1)
redis.call('SET', counter, placed)
-- The last outcome stays for who waits for it, as when a key is added again.
redis.call('PERSIST', record)
redis.call('HDEL', record, 'p', 'w', 'at', 'n', 'a', 'd', 'l', 'ad', 'pr', 'pc', 'pt', 'pm')
redis.call('HSET', record, 'g', placed, 's', 'queued', 'f', fields.f or '')
if to == stream then
  redis.call('XADD', stream, placed .. '-0', 'k', key, 'f', fields.f or '', 'p', fields.p or '')
else
  redis.call('HSET', record, 'at', fields.pr, 'pr', fields.pr)
  redis.call('XADD', to, placed .. '-0', 'k', key, 'f', fields.f or '', 'p', fields.p or '', 'pr', fields.pr)
end
redis.call('XDEL', quarantine, id)
return placed
