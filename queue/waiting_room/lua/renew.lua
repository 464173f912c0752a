-- renew.lua: a fan uses the pass that a shop was shown: it lasts as long as a pass from now on, up to its longest life.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan
-- Returns {ok, end of the live pass in ms or 0, latest end that use can put off to in ms}, or {unknown_room, 0, 0}

local fan = ARGV[2]
if not room.state then
  return { 'unknown_room', 0, 0 }
end
local pass_until = tonumber(redis.call('ZSCORE', ADMITTED, fan)) or 0
local _, _, admitted_at = place_of(fan)
if pass_until <= now or not admitted_at then
  return { 'ok', 0, 0 }
end
local life_ms = room.pass_life_ms > 0 and math.max(room.pass_life_ms, room.pass_ms) or 2 * room.pass_ms
local ends_at = math.max(pass_until, admitted_at + life_ms)
local later = math.min(now + room.pass_ms, ends_at)
if later > pass_until then
  pass_until = later
  redis.call('ZADD', ADMITTED, int(pass_until), fan)
end
redis.call('ZADD', ACTED, 'GT', int(now), fan)
return { 'ok', pass_until, ends_at }
