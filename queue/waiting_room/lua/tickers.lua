-- tickers.lua: renew a ticker's lease, or give it up, and tell who has one. A ticker is a process that ticks doors.
-- KEYS  1 zset ticker → ms at which its lease ends
-- ARGV  1 ticker, 2 ms that the lease lasts from now on; 0 gives it up
-- Returns the tickers that have a lease
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[2]) > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
return redis.call('ZRANGE', KEYS[1], 0, -1)
