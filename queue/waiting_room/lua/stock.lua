-- stock.lua: what is left to sell, as of a version of the event; what is older than known is ignored.
-- KEYS  1 stock
-- ARGV  1 free, 2 held, 3 version
-- Returns 1 if taken, 0 if ignored

local version = tonumber(redis.call('HGET', KEYS[1], 'version'))
if version and tonumber(ARGV[3]) < version then
  return 0
end
redis.call('HSET', KEYS[1], 'free', ARGV[1], 'held', ARGV[2], 'version', ARGV[3])
return 1
