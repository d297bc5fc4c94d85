-- queued, running -> queued, running, completed, failed, cancelled
-- Opens gates: takes back the places of runs that ended, and lets in who waits first; the first of them are handed to
-- the caller at once, up to its room, and the others wait for any worker. With a run that was handed over so comes its
-- outcome. Without runs it looks at 20 gates where somebody waits, from `offset` on, and takes back the places of those
-- that are neither running nor on their way.
-- Returns {entries as {place, id, fields, deliveries}, the offset of the next look, -1 when none is needed, a number for
-- each outcome: 1 written, 0 for `settle` to judge}; of the entries those that have their places have a field `gt`.
local returned, waiting, index, counter, leases, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix, consumer, room, offset, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FIRST, FIELDS, OUTCOME_FIELDS, LIMIT, GATES, RETURNED = 6, 5, 3, 200, 20, 2
local HOLDERS, DAY_MS = 100, 24 * 3600 * 1000
local WORDS = { c = 'completed', f = 'failed', x = 'cancelled' }

local call, pcall, try = redis.call, redis.pcall, pcall
local time = call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local looked, granted, last = 0, 0, nil
-- As the caller's code has them; who waits may know an older number, from before a deploy.
local numbers = {}
-- By generation, those that got their places for the caller, who is handed them if no other lies before them.
local expected = {}

-- The counter follows the clock, so that it rises even over a flush. Where only the counter was lost, and the clock is
-- behind, the streams tell how far it had come: Redis refuses an id that does not rise, in the middle of a script.
local function last_id(of)
  local info = redis.pcall('XINFO', 'STREAM', of)
  for i = 1, info.err and 0 or #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

local function next_generation(above)
  last = math.max(last or tonumber(call('GET', counter)) or last_id(ready), above or 0, time[1] * 1000000 + time[2]) + 1
  local placed = string.format('%.0f', last)
  call('SET', counter, placed)
  return placed
end

-- Whoever wrote the counter anew did not look at what has returned. That is rare, and looking costs more than adding.
local function bring_back(fields)
  local placed = next_generation()
  if type(pcall('XADD', returned, placed .. '-0', unpack(fields))) == 'table' then
    placed = next_generation(last_id(returned))
    call('XADD', returned, placed .. '-0', unpack(fields))
  end
  return placed
end

-- What somebody else wrote there is nothing.
local function unpacked(value)
  local fine, seen = try(cmsgpack.unpack, value or '')
  return fine and type(seen) == 'table' and seen or {}
end

-- The plain end of a run that is the caller's, as `settle` writes it; that leaves nothing to do for it. What is deleted
-- comes first: a server that is out of memory takes it, and then the rest.
local function settle(generation, word, key, meta, body)
  local id, record = generation .. '-0', prefix .. 'task:' .. key
  local owned = pcall('XPENDING', returned, 'workers', id, id, 1, consumer)
  if owned.err or not owned[1] or pcall('HGET', record, 'g') ~= generation then return 0 end
  call('XACK', returned, 'workers', id)
  call('XDEL', returned, id)
  word = WORDS[word]
  if ttl == 0 then
    call('DEL', record)
  else
    local outcome = word .. ' ' .. meta .. ' ' .. math.floor(now) .. ' ' .. consumer
    call('HSET', record, 's', word, 'o', outcome, 'r', body)
    call('PEXPIRE', record, ttl)
  end
  call('PUBLISH', prefix .. 'state:' .. key, string.match(meta, '^%S+') .. ' ' .. word)
  return 1
end

-- Only that of this very run: a retry of it may have the place by now, or the worker that took it from a dead one. Who
-- was let in and runs without having asked again is not named yet. A run whose outcome was just written had no such heir.
local function take_back(name, submission, generation, was_last)
  local holder = was_last and {} or unpacked(call('HGET', prefix .. 'gate:' .. name, submission))
  if was_last or holder[3] == generation and (holder[1] == consumer or holder[1] == '') then
    call('HDEL', prefix .. 'gate:' .. name, submission)
  end
end

-- A place is kept by an execution that waits for a worker or is pending, and by a living worker that ran it: after a
-- cancel the entry is gone, and the task may still run. What is parked, in a stream of its function (with a colon in its
-- name), keeps none, and asks again.
local function is_kept(submission, who, key)
  local seen = pcall('HMGET', prefix .. 'task:' .. key, 's', 'g', 'n', 'at')
  if not seen.err and seen[1] == 'queued' and seen[2] and (seen[3] or seen[2]) == submission
    and not string.find(seen[4] or '', ':', 1, true) then
    local id = seen[2] .. '-0'
    if #call('XRANGE', prefix .. (seen[4] or 'stream'), id, id) > 0 then return true end
  end
  return who ~= '' and tonumber(call('ZSCORE', leases, who) or 0) > now
end

-- Of a gate with more places than that, each look judges some, and the next ones others.
local function take_back_lost(name)
  local held = call('HRANDFIELD', prefix .. 'gate:' .. name, HOLDERS, 'WITHVALUES')
  for i = 1, #held, 2 do
    local holder = unpacked(held[i + 1])
    if not is_kept(held[i], holder[1] or '', holder[2] or '') then call('HDEL', prefix .. 'gate:' .. name, held[i]) end
  end
end

local function hold(name, submission, who, key, generation)
  call('HSET', prefix .. 'gate:' .. name, submission, cmsgpack.pack({ who, key, generation }))
  call('PEXPIRE', prefix .. 'gate:' .. name, DAY_MS)
end

local function hold_all(asked, submission, who, key, generation)
  for _, gate in ipairs(asked) do hold(gate[1], submission, who, key, generation) end
end

-- The gate at which it must wait, though there is room at the one that is named.
local function closed(asked, submission, roomy)
  for _, gate in ipairs(asked) do
    local name, holders = gate[1], prefix .. 'gate:' .. gate[1]
    local most = numbers[name] or gate[2]
    if name ~= roomy and call('HLEN', holders) >= most and call('HEXISTS', holders, submission) == 0 then return name end
  end
end

local function let_in(placed, submission, fields, key, asked)
  local returns, who = bring_back(fields), granted < room and consumer or ''
  hold_all(asked, submission, who, key, returns)
  if who ~= '' then expected[returns] = { asked, submission, key } end
  if pcall('HGET', prefix .. 'task:' .. key, 'g') == placed then
    call('HSET', prefix .. 'task:' .. key, 'g', returns, 'at', 'returned')
  end
  call('XDEL', waiting, placed .. '-0')
  granted = granted + 1
end

local function read(placed)
  local entry = call('XRANGE', waiting, placed .. '-0', placed .. '-0')[1]
  if not entry then return end
  local named = {}
  for i = 1, #entry[2], 2 do named[entry[2][i]] = entry[2][i + 1] end
  return entry[2], named.k or '', unpacked(named.gt)
end

-- Returns whether it has to be looked at again. Who is gone from the waiting was cancelled. Where the number of places is
-- known, nobody is read before there is room.
local function open(name)
  local queue, holders, most = prefix .. 'queue:' .. name, prefix .. 'gate:' .. name, numbers[name]
  while looked < LIMIT do
    if most and call('HLEN', holders) >= most then return false end
    local first = call('ZRANGE', queue, 0, 0, 'WITHSCORES')
    if not first[1] then
      call('ZREM', index, name)
      return false
    end
    looked = looked + 1
    local placed, submission = first[1], string.format('%.0f', first[2])
    local fields, key, asked = read(placed)
    local elsewhere = fields and closed(asked, submission, most and name)
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

local names, settled, next_look, cursor = {}, {}, -1, FIRST
while cursor <= #ARGV do
  local name, number, submission, generation, word = unpack(ARGV, cursor, cursor + FIELDS - 1)
  local written
  cursor = cursor + FIELDS
  if word ~= '' then
    written = settle(generation, word, unpack(ARGV, cursor, cursor + OUTCOME_FIELDS - 1))
    settled[#settled + 1] = written
    cursor = cursor + OUTCOME_FIELDS
  end
  take_back(name, submission, generation, written == 1)
  if not numbers[name] then names[#names + 1] = name end
  numbers[name] = tonumber(number)
end
local looks = #names == 0
if looks then
  names = call('ZRANGE', index, offset, offset + GATES - 1)
  if #names == GATES then next_look = offset end
  for _, name in ipairs(names) do take_back_lost(name) end
end
for _, name in ipairs(names) do
  if open(name) then
    next_look = offset
  elseif looks and next_look >= 0 and call('ZSCORE', index, name) then
    -- Gates that are gone from the index move the others up; those that stay are passed by.
    next_look = next_look + 1
  end
end
if granted == 0 then
  -- Where somebody was let in, a call like this follows his run.
  if call('XLEN', waiting) == 0 then call('DEL', waiting) end
  if #settled > 0 and call('XLEN', returned) == 0 then call('DEL', returned) end
  return { {}, next_look, settled }
end

-- What lies there may have lost its places meanwhile, as by being parked: without the field it asks like any other.
local function checked(entry)
  local named, bare = {}, {}
  for i = 1, #entry[2], 2 do
    named[entry[2][i]] = entry[2][i + 1]
    if entry[2][i] ~= 'gt' then bare[#bare + 1], bare[#bare + 2] = entry[2][i], entry[2][i + 1] end
  end
  local asked = named.n and unpacked(named.gt) or {}
  for _, gate in ipairs(asked) do
    if call('HEXISTS', prefix .. 'gate:' .. gate[1], named.n) == 0 then return bare end
  end
  -- What comes from a gate has its places already: with its owner it needs no other call.
  hold_all(asked, named.n, consumer, named.k or '', string.match(entry[1], '^%d+'))
  return entry[2]
end

local function read_returned()
  return pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', math.min(room, granted), 'STREAMS', returned, '>')
end

local handed, came = {}, room > 0 and read_returned()
-- Whoever settles the last entry of that stream deletes it, and its group.
if room == 0 or came and came.err then
  pcall('XGROUP', 'CREATE', returned, 'workers', '0', 'MKSTREAM')
  came = room > 0 and read_returned()
end
for _, entry in ipairs(came and came[1][2] or {}) do
  local generation = string.match(entry[1], '^%d+')
  handed[#handed + 1] = { RETURNED, entry[1], expected[generation] and entry[2] or checked(entry), 1 }
  expected[generation] = nil
end
-- Others lay before these, which go to any worker now.
for generation, each in pairs(expected) do hold_all(each[1], each[2], '', each[3], generation) end
if granted > #handed then call('PUBLISH', prefix .. 'signal', 'work') end
return { handed, next_look, settled }
