-- stock.lua: what is left to sell, as of a version of the event; what is older than known is ignored.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 free, 3 held, 4 version
-- Returns 1 if taken, 0 if ignored

local version = tonumber(redis.call('HGET', STOCK, 'version') or -1)
if tonumber(ARGV[4]) < version then
  return 0
end
redis.call('HSET', STOCK, 'free', ARGV[2], 'held', ARGV[3], 'version', ARGV[4])
return 1
