-- observes
-- Renews the leases of a master and of its living children, and tells how they do; one call a heartbeat for all.
-- Returns {now, suspects that nobody runs, the child's row or "" and 1 when its lease was renewed (0: it has none), ...}.
local leases, workers, nodes, suspects = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, row, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local FIRST, DAY_MS, LOOKED_AT = 4, 24 * 3600 * 1000, 10

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A server that is out of memory takes this, and whatever follows a write of the same script: it needs its masters.
redis.call('PEXPIRE', leases, math.max(DAY_MS, 10 * lease))
redis.call('ZADD', leases, now + lease, node)
redis.call('HSET', nodes, node, row)
redis.call('PEXPIRE', leases, math.max(DAY_MS, 10 * lease))
redis.call('PEXPIRE', nodes, math.max(DAY_MS, 10 * lease))

-- The row of a master that was killed stays until somebody has taken its lease off the books.
for _, other in ipairs(redis.call('HRANDFIELD', nodes, LOOKED_AT)) do
  if not redis.call('ZSCORE', leases, other) then redis.call('HDEL', nodes, other) end
end

local waiting = 0
local pending = redis.pcall('XPENDING', suspects, 'workers')
if not pending.err then
  waiting = redis.call('XLEN', suspects) - pending[1]
  for _, held in ipairs(pending[4] or {}) do
    if held[1] == 'reclaimed' then waiting = waiting + tonumber(held[2]) end
  end
end

local out = { now, waiting }
for i = FIRST, #ARGV do
  local child = ARGV[i]
  -- 0 is a lease that somebody is taking over: a child that has none joins again by itself.
  local held = tonumber(redis.call('ZSCORE', leases, child) or 0) > 0
  if held then redis.call('ZADD', leases, now + lease, child) end
  out[#out + 1] = redis.call('HGET', workers, child) or ''
  out[#out + 1] = held and 1 or 0
end
return out
