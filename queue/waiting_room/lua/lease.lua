-- lease.lua: renew the lease of a list in which nothing changed (listing.lua).
-- KEYS  1 leases, 2 config
-- ARGV  1 name of the list, 2 how often it was told
-- Returns 1, or 0 if the list was lost, wholly or in part, or if its lease had lapsed: then it is told anew

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at, told = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+):(%d+)$')
local connected_ms = (tonumber(redis.call('HGET', KEYS[2], 'connected_seconds')) or 0) * 1000
if told ~= ARGV[2] or now - tonumber(at) >= connected_ms then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ':' .. told)
return 1
