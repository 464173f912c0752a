-- positions.lua: ranks of many fans in one round trip. Cost: one rank (log of the line) for each fan asked.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans (at most operations.CHUNK)
-- Returns {fans in line, rank or -1, …}

local reply = { redis.call('ZCARD', LINE) }
for i = 2, #ARGV do
  reply[i] = redis.call('ZRANK', LINE, ARGV[i]) or -1
end
return reply
