-- queued -> running
-- Gives a worker what waits beside the stream: what was taken from the dead, what was parked and came
-- back, or (alone) one suspect; at most 200 and about 1 MiB a call. Returns {place, id, fields, deliveries} an entry.
local streams = { KEYS[1], KEYS[2], KEYS[3] }
local consumer, wanted, suspects = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'suspects'
local LIMIT, FEW, BYTES = 200, 20, 1048576

local first, last = 1, 2
if suspects then first, last = 3, 3 end
wanted = math.min(wanted, LIMIT)
local out, bytes = {}, 0

local function give(place, id, fields, deliveries)
  out[#out + 1] = { place, id, fields, deliveries }
  for i = 2, #fields, 2 do bytes = bytes + #fields[i] end
end

local function take(place, id, deliveries)
  local claimed = redis.call('XCLAIM', streams[place], 'workers', consumer, 0, id)
  if claimed[1] and claimed[1][2] then
    give(place, id, claimed[1][2], deliveries + 1)
  else
    -- Deleted meanwhile; Redis 6.2 would keep it pending for ever.
    redis.call('XACK', streams[place], 'workers', id)
  end
end

for place = first, last do
  local held = redis.pcall('XPENDING', streams[place], 'workers', '-', '+', wanted, 'reclaimed')
  if not held.err then
    for _, entry in ipairs(held) do
      if #out < wanted and bytes < BYTES then take(place, entry[1], entry[4]) end
    end
    -- How large the new ones are can't be known before they are handed out, so few at a time.
    if place > 1 and #out < wanted and bytes < BYTES then
      local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', math.min(wanted - #out, FEW),
        'STREAMS', streams[place], '>')
      if read and not read.err then
        for _, entry in ipairs(read[1][2]) do give(place, entry[1], entry[2], 1) end
      end
    end
  end
end
return out
