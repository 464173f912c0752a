-- standing.lua: where a fan stands; with touch it is the fan's heartbeat and ends an absence.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 touch (0 or 1)
-- Returns the standing, or {code, 0}: unknown_room

if not room.state then
  return { 'unknown_room', 0 }
end
local standing = standing_of(ARGV[2], ARGV[3] == '1', 'known')
close()
return standing
