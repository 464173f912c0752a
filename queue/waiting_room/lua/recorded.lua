-- recorded.lua: remove departures that are in Postgres now.
-- KEYS  1 departing
-- ARGV  fan, "state:score:at_ms", … as they were read (at most operations.CHUNK fans)
-- Returns how many were removed; a fan who departed again since stays

local struck = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    struck = struck + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return struck
