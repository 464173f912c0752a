-- positions.lua: ranks of many fans in one round trip. Cost: one rank (log of the line) for each fan asked.
-- KEYS  1 line
-- ARGV  fans (at most operations.CHUNK)
-- Returns {fans in line, rank or -1, …}

local reply = { redis.call('ZCARD', KEYS[1]) }
for i, fan in ipairs(ARGV) do
  reply[i + 1] = redis.call('ZRANK', KEYS[1], fan) or -1
end
return reply
