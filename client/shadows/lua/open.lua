-- queued -> queued, running
-- Opens gates: takes back the places of runs that ended, and lets in who waits first; the first of them are handed to
-- the caller at once, up to its room, and the others wait for any worker. Without runs it looks at 20 gates where
-- somebody waits, from `offset` on, and takes back the places of those that are neither running nor on their way.
-- Returns {entries as {place, id, fields, deliveries}, 1 when there may be more to do}.
local returned, waiting, index, counter, leases, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix, consumer, room, offset = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST, FIELDS, LIMIT, GATES, RETURNED = 5, 2, 200, 20, 2

local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local looked, granted = 0, 0

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

-- Whoever wrote the counter anew did not look at what has returned.
local function next_generation()
  local last = math.max(tonumber(call('GET', counter)) or last_id(ready), last_id(returned))
  local placed = string.format('%.0f', math.max(last, time[1] * 1000000 + time[2]) + 1)
  call('SET', counter, placed)
  return placed
end

-- Only its own: who was taken for dead, and comes back, must not free the place of the one that runs now.
local function take_back(name, submission)
  local held = call('HGET', prefix .. 'gate:' .. name, submission)
  if held and cmsgpack.unpack(held)[1] == consumer then call('HDEL', prefix .. 'gate:' .. name, submission) end
end

-- A place is kept by an execution that waits for a worker or is pending, and by a living worker that ran it: after a
-- cancel the entry is gone, and the task may still run.
local function is_kept(submission, who, key)
  local seen = pcall('HMGET', prefix .. 'task:' .. key, 's', 'g', 'n', 'at')
  if not seen.err and seen[1] == 'queued' and seen[2] and (seen[3] or seen[2]) == submission then
    local id = seen[2] .. '-0'
    if #call('XRANGE', prefix .. (seen[4] or 'stream'), id, id) > 0 then return true end
  end
  return who ~= '' and tonumber(call('ZSCORE', leases, who) or 0) > now
end

local function take_back_lost(name)
  local holders = call('HGETALL', prefix .. 'gate:' .. name)
  for i = 1, #holders, 2 do
    local held = cmsgpack.unpack(holders[i + 1])
    if not is_kept(holders[i], held[1], held[2]) then call('HDEL', prefix .. 'gate:' .. name, holders[i]) end
  end
end

-- The gate at which it must wait, though this one is open.
local function closed(asked, submission)
  for _, gate in ipairs(asked) do
    local holders = prefix .. 'gate:' .. gate[1]
    if call('HEXISTS', holders, submission) == 0 and call('HLEN', holders) >= gate[2] then return gate[1] end
  end
end

local function let_in(placed, submission, fields, key, asked)
  for _, gate in ipairs(asked) do
    call('HSET', prefix .. 'gate:' .. gate[1], submission, cmsgpack.pack({ '', key }))
  end
  local returns = next_generation()
  if pcall('HGET', prefix .. 'task:' .. key, 'g') == placed then
    call('HSET', prefix .. 'task:' .. key, 'g', returns, 'at', 'returned')
  end
  call('XADD', returned, returns .. '-0', unpack(fields))
  call('XDEL', waiting, placed .. '-0')
  granted = granted + 1
end

local function read(placed)
  local entry = call('XRANGE', waiting, placed .. '-0', placed .. '-0')[1]
  if not entry then return end
  local named = {}
  for i = 1, #entry[2], 2 do named[entry[2][i]] = entry[2][i + 1] end
  return entry[2], named.k or '', named.gt and cmsgpack.unpack(named.gt) or {}
end

-- Returns whether it has to be looked at again. Who is gone from the waiting was cancelled.
local function open(name)
  local queue = prefix .. 'queue:' .. name
  while looked < LIMIT do
    local first = call('ZRANGE', queue, 0, 0, 'WITHSCORES')
    if not first[1] then
      call('ZREM', index, name)
      return false
    end
    looked = looked + 1
    local placed, submission = first[1], string.format('%.0f', first[2])
    local fields, key, asked = read(placed)
    local elsewhere = fields and closed(asked, submission)
    if elsewhere == name then return false end
    call('ZREM', queue, placed)
    if elsewhere then
      call('ZADD', prefix .. 'queue:' .. elsewhere, submission, placed)
      call('ZADD', index, 'NX', now, elsewhere)
    elseif fields then
      let_in(placed, submission, fields, key, asked)
    end
  end
  return true
end

local names, more = {}, 0
for i = FIRST, #ARGV, FIELDS do
  take_back(ARGV[i], ARGV[i + 1])
  names[#names + 1] = ARGV[i]
end
if #names == 0 then
  names = call('ZRANGE', index, offset, offset + GATES - 1)
  if #names == GATES then more = 1 end
  for _, name in ipairs(names) do take_back_lost(name) end
end
for _, name in ipairs(names) do
  if open(name) then more = 1 end
end
if call('XLEN', waiting) == 0 then call('DEL', waiting) end
if granted == 0 then return { {}, more } end

pcall('XGROUP', 'CREATE', returned, 'workers', '0', 'MKSTREAM')
local handed = {}
local read_now = room > 0 and call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', math.min(room, granted),
  'STREAMS', returned, '>')
for _, entry in ipairs(read_now and read_now[1][2] or {}) do
  handed[#handed + 1] = { RETURNED, entry[1], entry[2], 1 }
  local named = {}
  for i = 1, #entry[2], 2 do named[entry[2][i]] = entry[2][i + 1] end
  -- What comes from a gate has its places already: with its owner it needs no other call.
  for _, gate in ipairs(named.gt and cmsgpack.unpack(named.gt) or {}) do
    call('HSET', prefix .. 'gate:' .. gate[1], named.n, cmsgpack.pack({ consumer, named.k }))
  end
end
if granted > #handed then call('PUBLISH', prefix .. 'signal', 'work') end
return { handed, more }
