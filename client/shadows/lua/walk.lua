-- observes
-- Walks through a stretch of a stream from its end, at most 200 entries and about 1 MiB a call, and finds those of a key.
-- Returns {how many entries it passed, the ids of those of the key, from where to go on ("" when all were seen)}.
local stream = KEYS[1]
local first, last, key = ARGV[1], ARGV[2], ARGV[3]
local LIMIT, BYTES = 200, 1048576

local passed, found, bytes = 0, {}, 0

local function pass(id, fields)
  passed = passed + 1
  for i = 1, #fields, 2 do
    if fields[i] == 'k' and fields[i + 1] == key then found[#found + 1] = id end
    bytes = bytes + #fields[i + 1]
  end
end

-- How large entries are is known once they are read: so one first, and then as many as fit if they are alike.
local function room()
  if passed == 0 then return 1 end
  return math.min(LIMIT - passed, 8 * passed, math.floor((BYTES - bytes) * passed / math.max(bytes, 1)))
end

for _ = 1, LIMIT do
  local count = room()
  if count < 1 then break end
  local entries = redis.call('XREVRANGE', stream, last, first, 'COUNT', count)
  for _, entry in ipairs(entries) do pass(entry[1], entry[2]) end
  if #entries < count then return { passed, found, '' } end
  last = '(' .. entries[#entries][1]
end
return { passed, found, last }
