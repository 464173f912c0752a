-- positions.lua: ranks of many fans in one round trip. Cost: one rank (log of the line) for each fan asked.
-- KEYS  1 line
-- ARGV  1 fans, with spaces between them (at most operations.RANKS)
-- Returns {fans in line, rank or -1, …}
-- One argument: to send each of many costs a client more than its rank costs here.

local reply = { redis.call('ZCARD', KEYS[1]) }
for fan in string.gmatch(ARGV[1], '%d+') do
  reply[#reply + 1] = redis.call('ZRANK', KEYS[1], fan) or -1
end
return reply
