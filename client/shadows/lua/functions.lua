-- observes
-- Reads which functions up to 200 records name; a record of the wrong type is "?".
-- Returns one name a record.
local records = KEYS

local out = {}
for n, record in ipairs(records) do
  local name = redis.pcall('HGET', record, 'f')
  out[n] = type(name) == 'string' and name or '?'
end
return out
