-- stock.lua: note what is left to sell, as of a version of the event; an older version than the one known is ignored.
-- KEYS  1 stock, 2 config, 3 places
-- ARGV  1 free, 2 held, 3 version, 4 a version that Postgres has lost, which the given one replaces (-1: none)
-- Returns 1 if taken, 0 if ignored

-- When everything was sold, the line was let go: its pages look about once a minute. Where seats come back after all,
-- the door waits for so long, until every fan who is still there was heard from: else the quickest to look would have
-- them, and not the first in line.
local REOPEN_MS = 90000

local known = redis.call('HMGET', KEYS[1], 'version', 'free', 'held')
if known[1] and tonumber(ARGV[3]) < tonumber(known[1]) and known[1] ~= ARGV[4] then
  return 0
end
redis.call('HSET', KEYS[1], 'free', ARGV[1], 'held', ARGV[2], 'version', ARGV[3])
local was_sold_out = known[1] and tonumber(known[2]) <= 0 and tonumber(known[3]) <= 0
if was_sold_out and tonumber(ARGV[1]) > 0 and redis.call('HLEN', KEYS[3]) > 0 then
  local room = redis.call('HMGET', KEYS[2], 'connected_seconds', 'resumed_at')
  if room[1] then
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    -- The door opens the connected time after this (room.lua).
    local resumed_at = math.max(tonumber(room[2]) or 0, now + math.max(0, REOPEN_MS - tonumber(room[1]) * 1000))
    redis.call('HSET', KEYS[2], 'resumed_at', string.format('%.0f', resumed_at))
  end
end
return 1
