-- observes
-- Tries the commands of a JSON list on one scratch key, which is gone again at the end.
-- Returns the names of those that this user may not run.
local scratch = KEYS[1]
local commands = cjson.decode(ARGV[1])

-- How Redis 6.2 and 7, and how 8 say it; other errors come after the permission was given.
local REFUSALS = { "can't run this command", "can't access at least one", 'ACL failure', 'NOPERM' }

local function is_refusal(words)
  for _, refusal in ipairs(REFUSALS) do
    if string.find(words, refusal, 1, true) then return true end
  end
  return false
end

local refused = {}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err and is_refusal(answer.err) then
    refused[#refused + 1] = command[1]
  end
end
redis.pcall('DEL', scratch)
return refused
