-- running -> running, queued, scheduled
-- Leads executions through the gates of their functions, each whole: it starts, waits at one, comes later, or is to be
-- dropped. Called again with the same it says the same, so a lost reply does no harm.
-- Returns {word, detail, freed} an item: "a" it starts, "w" it waits, "l" it comes later, "n" it is not ours any more,
-- "d" it is to be dropped, for the reason in detail; freed is 1 when there is room for who waits, for `open` to give.
local streams = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local waiting, schedule, counter, index, leases, records = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], 10
local prefix, consumer = ARGV[1], ARGV[2]
local FIRST, FIELDS, TERMS = 3, 8, 4
local SECOND_MS, DAY_MS, HOLDERS = 1000, 24 * 3600 * 1000, 100

local call, pcall, try = redis.call, redis.pcall, pcall
local time = call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local earliest, last, started = nil, nil, 0
-- The limits in the index of those where somebody waits, as far as this call has put them there.
local indexed = {}

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
  last = math.max(last or tonumber(call('GET', counter)) or last_id(streams[1]), above or 0, time[1] * 1000000 + time[2])
  last = last + 1
  local placed = string.format('%.0f', last)
  call('SET', counter, placed)
  return placed
end

-- What somebody else wrote there is nothing.
local function unpacked(value)
  local fine, seen = try(cmsgpack.unpack, value or '')
  return fine and type(seen) == 'table' and seen or {}
end

-- Each of these answers nothing when the item may pass, and else a word with its detail.
local ask = {}

function ask.d(item, gate)
  if item.admitted or item.attempt > 1 then return end
  local key, due = prefix .. 'gate:' .. gate.name, item.base + gate.first
  local said = call('GET', key)
  local last = unpacked(said)
  if last[1] and tonumber(last[1]) > tonumber(item.submission) then return 'd', 'debounced: a later submission came' end
  -- Its base moves when it is put off; what it was put off to, at first, is what counts.
  if last[1] == item.submission then
    due = last[2]
  elseif due <= now then
    -- It waited for a worker longer than that, and later ones may wait behind it.
    due = now + gate.first
  end
  call('SET', key, cmsgpack.pack({ item.submission, due }), 'PX', gate.first + DAY_MS)
  if now < due then return 'l', due end
end

function ask.w(item, gate)
  if item.admitted or item.attempt > 1 then return end
  local first = call('GET', prefix .. 'gate:' .. gate.name)
  if first and first ~= item.submission then return 'd', 'cooling down: another one ran within the window' end
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

local function take_back_lost(holders)
  local held = call('HRANDFIELD', holders, HOLDERS, 'WITHVALUES')
  for i = 1, #held, 2 do
    local holder = unpacked(held[i + 1])
    if not is_kept(held[i], holder[1] or '', holder[2] or '') then call('HDEL', holders, held[i]) end
  end
end

function ask.c(item, gate)
  local holders, queue = prefix .. 'gate:' .. gate.name, prefix .. 'queue:' .. gate.name
  -- More than the limit hold places when a deploy lowered it: who can wait, does.
  gate.has = call('HEXISTS', holders, item.submission) == 1
  local taken = call('HLEN', holders)
  if gate.has and taken <= gate.first then return end
  local first = call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
  -- Nobody looks for lost places before somebody waits.
  if not gate.has and not first and taken >= gate.first then
    take_back_lost(holders)
    taken = call('HLEN', holders)
  end
  local room = taken < gate.first
  -- There is room, and somebody waits: he was cancelled, or who should have opened to him died. It is opened now.
  if room and first then item.freed = true end
  if not room or (first and tonumber(first) < tonumber(item.submission)) then return 'w', gate.name end
end

-- Starts, and behind them what is planned: each takes a place in some stretch of time. What is planned minds only the
-- plans before its own, and everything else minds all of them.
function ask.r(item, gate)
  local starts, plans = prefix .. 'gate:' .. gate.name, prefix .. 'queue:' .. gate.name
  local most, per = math.abs(gate.first), gate.second
  call('ZREMRANGEBYSCORE', starts, '-inf', now - per)
  call('ZREMRANGEBYSCORE', plans, '-inf', now - per)
  if call('ZSCORE', starts, item.start) then return end
  local own = call('ZSCORE', plans, item.submission)
  if own then call('ZREM', plans, item.submission) end
  local bound = own and '(' .. own or '+inf'
  local ahead = call('ZCOUNT', plans, '-inf', bound)
  local before
  if ahead >= most then
    before = call('ZREVRANGEBYSCORE', plans, bound, '-inf', 'WITHSCORES', 'LIMIT', most - 1, 1)[2]
  else
    before = call('ZREVRANGE', starts, most - ahead - 1, most - ahead - 1, 'WITHSCORES')[2]
  end
  if not before then return end
  if gate.first < 0 then return 'd', 'over its rate limit' end
  return 'l', tonumber(before) + per, gate
end

-- What is in a sorted set of times counts for so long.
local function expire(key, per)
  local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
  call('PEXPIRE', key, math.ceil(last - now) + per + SECOND_MS)
end

local take = {}

function take.d() end

function take.w(item, gate)
  call('SET', prefix .. 'gate:' .. gate.name, item.submission, 'PX', gate.first, 'NX')
end

function take.c(item, gate)
  local key = prefix .. 'gate:' .. gate.name
  call('HSET', key, item.submission, cmsgpack.pack({ consumer, item.key, item.generation }))
  call('PEXPIRE', key, DAY_MS)
end

function take.r(item, gate)
  local key = prefix .. 'gate:' .. gate.name
  -- Of those that start in one call each is a microsecond later, so that who follows them keeps the order, too.
  call('ZADD', key, now + started / 1000, item.start)
  started = started + 1
  expire(key, gate.second)
end

-- It was let in at limits that its function does not have any more, since a deploy: others wait there still.
local function leave_old(item)
  local known = {}
  for _, gate in ipairs(item.gates) do known[gate.name] = true end
  for _, old in ipairs(unpacked(item.named.gt)) do
    if not known[old[1]] and call('HDEL', prefix .. 'gate:' .. old[1], item.submission) == 1 then
      call('PUBLISH', prefix .. 'signal', 'gate')
    end
  end
end

-- Who does not start now keeps no place.
local function give_back(item)
  for _, gate in ipairs(item.gates) do
    if gate.kind == 'c' and gate.has ~= false and call('HDEL', prefix .. 'gate:' .. gate.name, item.submission) == 1 then
      item.freed = true
    end
  end
end

local function leave_stream(item)
  call('XACK', item.stream, 'workers', item.id)
  call('XDEL', item.stream, item.id)
end

-- Whoever wrote the counter anew did not look at what waits. That is rare, and looking costs more than adding.
local function add_waiting(...)
  local placed = next_generation()
  if type(pcall('XADD', waiting, placed .. '-0', ...)) == 'table' then
    placed = next_generation(last_id(waiting))
    call('XADD', waiting, placed .. '-0', ...)
  end
  return placed
end

-- The entry carries the limits that it asks for, so that whoever opens the gate need not know the function.
local function wait(item, name)
  local asked, fields = {}, {}
  for _, gate in ipairs(item.gates) do
    if gate.kind == 'c' then asked[#asked + 1] = { gate.name, gate.first } end
  end
  for i = 1, #item.fields, 2 do
    if item.fields[i] ~= 'gt' and item.fields[i] ~= 'n' then
      fields[#fields + 1], fields[#fields + 2] = item.fields[i], item.fields[i + 1]
    end
  end
  local placed = add_waiting('n', item.submission, 'gt', cmsgpack.pack(asked), unpack(fields))
  call('HSET', item.record, 'g', placed, 's', 'queued', 'n', item.submission, 'f', item.named.f, 'at', 'waiting')
  leave_stream(item)
  call('ZADD', prefix .. 'queue:' .. name, item.submission, placed)
  if not indexed[name] then call('ZADD', index, 'NX', now, name) end
  indexed[name] = true
end

local function come_later(item, due, rate)
  if rate then
    -- Those that are put off to the same moment keep their order: each is a microsecond later.
    local beside = call('ZREVRANGEBYSCORE', prefix .. 'queue:' .. rate.name, due + 1, due, 'WITHSCORES', 'LIMIT', 0, 1)[2]
    if beside then due = tonumber(beside) + 0.001 end
    call('ZADD', prefix .. 'queue:' .. rate.name, due, item.submission)
    expire(prefix .. 'queue:' .. rate.name, rate.second)
  end
  call('HDEL', item.record, 'at')
  if item.named.pr then call('HSET', item.record, 'pr', item.named.pr) end
  call('HSET', item.record, 'g', next_generation(), 's', 'scheduled', 'n', item.submission, 'a', item.attempt,
    'f', item.named.f, 'w', math.ceil(due), 'p', item.named.p)
  call('ZADD', schedule, due, item.key)
  leave_stream(item)
  if not earliest or due < earliest then earliest = due end
  call('PUBLISH', prefix .. 'state:' .. item.key, item.submission .. ' scheduled')
end

local function find(item)
  local owned = pcall('XPENDING', item.stream, 'workers', item.id, item.id, 1, consumer)
  if owned.err or not owned[1] then return false end
  local entry = call('XRANGE', item.stream, item.id, item.id)[1]
  local seen = pcall('HMGET', item.record, 'g', 'ad')
  if seen.err then error(seen.err) end
  if not entry or (seen[1] and seen[1] .. '-0' ~= item.id) then return false end
  item.fields, item.named = entry[2], {}
  for i = 1, #entry[2], 2 do item.named[entry[2][i]] = entry[2][i + 1] end
  item.admitted = seen[2] == item.submission
  return true
end

local function admit(item)
  if not find(item) then return { 'n', '', 0 } end
  leave_old(item)
  for _, gate in ipairs(item.gates) do
    local word, detail, rate = ask[gate.kind](item, gate)
    if word then
      give_back(item)
      if word == 'w' then wait(item, detail) end
      if word == 'l' then come_later(item, detail, rate) end
      return { word, tostring(detail), item.freed and 1 or 0 }
    end
  end
  for _, gate in ipairs(item.gates) do take[gate.kind](item, gate) end
  call('HSET', item.record, 'ad', item.submission)
  return { 'a', '', item.freed and 1 or 0 }
end

local out, cursor = {}, FIRST
while cursor <= #ARGV do
  local n = #out + 1
  local place, generation, submission, attempt, base, start, key, count = unpack(ARGV, cursor, cursor + FIELDS - 1)
  local item = { stream = streams[tonumber(place)], id = generation .. '-0', generation = generation,
    submission = submission, key = key, attempt = tonumber(attempt), base = tonumber(base), start = start, record = KEYS[records + n], gates = {} }
  cursor = cursor + FIELDS
  for _ = 1, tonumber(count) do
    item.gates[#item.gates + 1] = { kind = ARGV[cursor], name = ARGV[cursor + 1],
      first = tonumber(ARGV[cursor + 2]), second = tonumber(ARGV[cursor + 3]) }
    cursor = cursor + TERMS
  end
  out[n] = admit(item)
end
if earliest then
  local first = call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) == earliest then call('PUBLISH', prefix .. 'signal', 'schedule ' .. first[2]) end
end
return out
