-- keep.lua: keep the places of absent fans who are told of their turn elsewhere, and may come back for it.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fans in line, with spaces between, 3 fans who were just told that it is their turn, 4 for how long an
--       absent one of these keeps the place (ms)
-- Returns how many places are kept for longer now
-- A fan in line is not called for it: the fan counts as absent, but not yet as gone.

local kept = 0
local absent_at = int(now - room.connected_ms - 1)
local waiting = {}
for fan in string.gmatch(ARGV[2], '%d+') do
  waiting[#waiting + 1] = fan
end
if #waiting > 0 then
  local places = redis.call('HMGET', PLACES, unpack(waiting))
  local heard = heard_of(waiting)
  for i, fan in ipairs(waiting) do
    if places[i] and heard[i] > 0 and heard[i] < tonumber(absent_at) then
      redis.call('HSET', SEEN, fan, absent_at)
      kept = kept + 1
    end
  end
end
for fan in string.gmatch(ARGV[3], '%d+') do
  if redis.call('ZSCORE', AWAY, fan) then
    kept = kept + redis.call('ZADD', AWAY, 'XX', 'GT', 'CH', int(now + tonumber(ARGV[4])), fan)
  end
end
close()
return kept
