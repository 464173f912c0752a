-- leave.lua: the fan gives up the place, or the slot.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan
-- Returns 1 if a place was given up, 0 if there was none

local fan = ARGV[2]
local where
if redis.call('HEXISTS', PLACES, fan) == 1 then
  where = settle(fan)
end
if where then
  end_places({ fan }, where, 'left')
end
close()
return where and 1 or 0
