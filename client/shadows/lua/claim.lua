-- queued -> running
-- Gives a worker what waits beside the stream: what was taken from the dead, what was parked and came
-- back, or (alone) one suspect. Returns {place, generation, fields, deliveries} an entry, and what is left.
local streams = { KEYS[1], KEYS[2], KEYS[3] }
local consumer, wanted, suspects = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'suspects'
local first, last = 1, 2
if suspects then first, last = 3, 3 end
local out = {}

local function take(place, id, deliveries)
  local claimed = redis.call('XCLAIM', streams[place], 'workers', consumer, 0, id)
  if claimed[1] and claimed[1][2] then
    out[#out + 1] = { place, string.match(id, '^%d+'), claimed[1][2], deliveries + 1 }
  else
    -- Deleted meanwhile; Redis 6.2 would keep it pending for ever.
    redis.call('XACK', streams[place], 'workers', id)
  end
end

for place = first, last do
  local held = redis.pcall('XPENDING', streams[place], 'workers', '-', '+', wanted, 'reclaimed')
  if not held.err then
    for _, entry in ipairs(held) do
      if #out < wanted then take(place, entry[1], entry[4]) end
    end
    if place > 1 and #out < wanted then
      local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', wanted - #out,
        'STREAMS', streams[place], '>')
      if read and not read.err then
        for _, entry in ipairs(read[1][2]) do
          out[#out + 1] = { place, string.match(entry[1], '^%d+'), entry[2], 1 }
        end
      end
    end
  end
end
return out
