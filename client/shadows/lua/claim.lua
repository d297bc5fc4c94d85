-- queued -> running
-- Gives a worker what waits at some places, those of the first before those of the next: what was taken from the dead,
-- and what is new there, unless the number of the place is negative. At most 200 and about 1 MiB a call.
-- A worker that serves some priorities only names them; what came back, or is suspect, it leaves to others otherwise. Of
-- what was left there it looks at a part with each call, from `after` on; "" for what is new only.
-- Returns {place, id, fields, deliveries} an entry, then where the next look goes on, "" when all was looked at, and 1
-- when there may be more than it could give, else 0; the error of Redis when nobody has ever read at a place where new
-- work comes: nothing lower is taken before the group is made.
local streams, counter = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }, KEYS[6]
local prefix, consumer, wanted, served, after = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local FIRST, LIMIT, BYTES = 6, 200, 1048576
local BESIDE = { [2] = true, [3] = true }
-- The other streams hold one priority each, so who reads there serves it.
local MIXED = { [2] = served ~= '', [3] = served ~= '' }

wanted = math.min(wanted, LIMIT)
if served == '' then after = '' end
local out, bytes, left, passed = {}, 0, 0, 0

-- What names no priority, or none that there is, is normal.
local function is_served(fields)
  local priority = 'normal'
  for i = 1, #fields, 2 do
    if fields[i] == 'pr' and (fields[i + 1] == 'high' or fields[i + 1] == 'low') then priority = fields[i + 1] end
  end
  return string.find(served, priority, 1, true) ~= nil
end

local function pass(fields)
  for i = 2, #fields, 2 do passed = passed + #fields[i] end
end

local function may_take(place, id)
  local entry = MIXED[place] and redis.call('XRANGE', streams[place], id, id)[1]
  if not entry or is_served(entry[2]) then return true end
  pass(entry[2])
  return false
end

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
    if count < 1 or passed >= BYTES then return end
    local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', streams[place], '>')
    if not read or read.err then return end
    for _, entry in ipairs(read[1][2]) do
      if not MIXED[place] or not entry[2] or is_served(entry[2]) then
        give(place, entry[1], entry[2], 1)
      else
        -- It was handed to nobody who could run it.
        redis.call('XCLAIM', streams[place], 'workers', 'reclaimed', 0, entry[1], 'RETRYCOUNT', 0, 'JUSTID')
        left = left + 1
        pass(entry[2])
      end
    end
  end
end

-- Gives what was taken from the dead, or left by others. Returns the error of Redis when nobody has read there.
local function claim(place)
  local from, most = '-', wanted
  if MIXED[place] then
    from, most = after, LIMIT
    after = ''
  end
  local held = from ~= '' and redis.pcall('XPENDING', streams[place], 'workers', from, '+', most, 'reclaimed') or {}
  if held.err then return held end
  for _, entry in ipairs(held) do
    if #out >= wanted or bytes + passed >= BYTES then
      if MIXED[place] then after = from end
      return
    end
    if may_take(place, entry[1]) then take(place, entry[1], entry[4]) end
    from = '(' .. entry[1]
  end
  if MIXED[place] and #held == most then after = from end
end

local missing
for i = FIRST, #ARGV do
  if missing or room() < 1 then break end
  local place = math.abs(ARGV[i])
  local failed = claim(place)
  if tonumber(ARGV[i]) > 0 then
    if not failed then
      read_new(place)
    elseif not BESIDE[place] and string.find(failed.err, 'NOGROUP', 1, true) then
      missing = failed
    end
  end
end
if left > 0 then redis.call('PUBLISH', prefix .. 'signal', 'work') end
if missing then return missing end
local more = (room() < 1 or after ~= '') and 1 or 0
out[#out + 1] = after
out[#out + 1] = more
return out
