-- leave.lua: end the place, or the slot, that a fan gives up.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan
-- Returns 1 if a place was given up, 0 if there was none

local fan = ARGV[2]
local score, _, _, priority = place_of(fan)
local where = score and settle(fan, priority)
if where then
  end_places({ fan }, where, 'left')
end
close()
return where and 1 or 0
