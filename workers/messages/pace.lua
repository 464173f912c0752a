-- pace.lua: give out the next moments at which a provider may be asked, evenly spread over all processes.
-- KEYS  1 the provider's key: the microsecond from which nothing is given out yet
-- ARGV  1 microseconds between two moments, 2 how many moments are wanted
-- Returns in how many microseconds the first of them is; the others follow it

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local free = first + ARGV[1] * ARGV[2]
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', string.format('%.0f', math.ceil((free - now) / 1000) + 1))
return string.format('%.0f', first - now)
