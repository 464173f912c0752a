-- lobby_page.lua: some of the fans in the lobby, once the draw is due; with the last of them its list is closed.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 the score they come after (0 first), 3 how many at most
-- Returns {not_due}, or {ok, score of the last or as given, fan, …}; with fewer fans than asked for these were the
-- last, and nobody enters the lobby any more. Any process may read the pages, from any one on, and again.

if not room.draw_due then
  return { 'not_due' }
end
begin_draw()
local page = redis.call('ZRANGEBYSCORE', LOBBY, '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local reply = { 'ok', ARGV[2] }
for i = 1, #page, 2 do
  reply[#reply + 1] = page[i]
  reply[2] = page[i + 1]
end
if #page < 2 * tonumber(ARGV[3]) and room.draw == 'pending' then
  redis.call('HSET', CONFIG, 'draw', 'closed')
end
return reply
