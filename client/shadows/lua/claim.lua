-- queued -> running
-- Gives a worker what waits beside the stream: what was taken from the dead, what was parked and came
-- back, or (alone) one suspect; at most 200 and about 1 MiB a call. Returns {place, id, fields, deliveries} an entry.
local streams, counter = { KEYS[1], KEYS[2], KEYS[3] }, KEYS[4]
local consumer, wanted, suspects = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'suspects'
local LIMIT, BYTES = 200, 1048576

local first, last = 1, 2
if suspects then first, last = 3, 3 end
wanted = math.min(wanted, LIMIT)
local out, bytes = {}, 0

local function give(place, id, fields, deliveries)
  out[#out + 1] = { place, id, fields, deliveries }
  for i = 2, #fields, 2 do bytes = bytes + #fields[i] end
end

-- A fence is the generation and, after it, a number for each further delivery: the next placing must be above them.
local function outrun(generation, deliveries)
  local last = tonumber(redis.call('GET', counter) or 0)
  if generation <= last and last < generation + deliveries then
    redis.call('SET', counter, string.format('%.0f', generation + deliveries))
  end
end

local function take(place, id, deliveries)
  local claimed = redis.call('XCLAIM', streams[place], 'workers', consumer, 0, id)
  if claimed[1] and claimed[1][2] then
    outrun(tonumber(string.match(id, '^%d+')), deliveries)
    give(place, id, claimed[1][2], deliveries + 1)
  else
    -- Deleted meanwhile; Redis 6.2 would keep it pending for ever.
    redis.call('XACK', streams[place], 'workers', id)
  end
end

-- How large entries are is known once they are read: so one first, and then as many as fit if they are alike.
local function room()
  if #out == 0 then return math.min(wanted, 1) end
  return math.min(wanted - #out, 8 * #out, math.floor((BYTES - bytes) * #out / math.max(bytes, 1)))
end

local function read_new(place)
  for _ = 1, LIMIT do
    local count = room()
    if count < 1 then return end
    local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', streams[place], '>')
    if not read or read.err then return end
    for _, entry in ipairs(read[1][2]) do give(place, entry[1], entry[2], 1) end
  end
end

for place = first, last do
  local held = redis.pcall('XPENDING', streams[place], 'workers', '-', '+', wanted, 'reclaimed')
  if not held.err then
    for _, entry in ipairs(held) do
      if #out < wanted and bytes < BYTES then take(place, entry[1], entry[4]) end
    end
    if place > 1 then read_new(place) end
  end
end
return out
