-- observes
-- Reads one execution: its record, its entry, and who runs it.
-- Returns {record fields, entry fields, {consumer, idle ms, deliveries} or {}, in the schedule or not, now}.
local record, schedule = KEYS[1], KEYS[2]
local prefix, key = ARGV[1], ARGV[2]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Not all of it: the steps that a task has kept may be large, and are nobody else's.
local NAMES = { 'g', 'n', 's', 'f', 'at', 'ad', 'w', 'p', 'a', 'd', 'l', 'o', 'r', 'pr', 'pc', 'pt', 'pm' }
local values = redis.pcall('HMGET', record, unpack(NAMES))
local row, fields = {}, {}
for i, name in ipairs(values.err and {} or NAMES) do
  if values[i] then
    row[name] = values[i]
    fields[#fields + 1], fields[#fields + 2] = name, values[i]
  end
end
local entry, held = {}, {}
if row.s == 'queued' and row.g then
  local stream, id = prefix .. (row.at or 'stream'), row.g .. '-0'
  local found = redis.call('XRANGE', stream, id, id)[1]
  if found then entry = found[2] end
  local pending = redis.pcall('XPENDING', stream, 'workers', id, id, 1)
  if not pending.err and pending[1] then
    held = { pending[1][2], pending[1][3], pending[1][4] }
  end
end
return { fields, entry, held, redis.call('ZSCORE', schedule, key) and 1 or 0, now }
