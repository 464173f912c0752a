-- positions.lua: ranks of many fans in one round trip. Cost: one rank (log of the line) for each fan asked.
-- KEYS  1 line, 2 priority
-- ARGV  1 fans, with spaces between them (at most operations.RANKS)
-- Returns {fans in line, those of the priority class among them, rank or -1, …}; of the priority class -2 - rank
-- The fans come in one argument, because to send each in its own costs a client more than its rank costs here.

local priority = redis.call('ZCARD', KEYS[2])
local reply = { redis.call('ZCARD', KEYS[1]) + priority, priority }
for fan in string.gmatch(ARGV[1], '%d+') do
  local rank = redis.call('ZRANK', KEYS[1], fan)
  if not rank and priority > 0 then
    rank = redis.call('ZRANK', KEYS[2], fan)
    rank = rank and -2 - rank
  end
  reply[#reply + 1] = rank or -1
end
return reply
