-- claim.lua: give a called fan a pass, unless the sale has not begun or is over, or the event is cancelled; an admitted
-- fan gets the same pass again.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan
-- Returns the standing, or {not_called, state} or {unknown_room, 0}

local fan = ARGV[2]
if not room.state then
  return { 'unknown_room', 0 }
end
local score, joined_at, _, priority = place_of(fan)
local where = score and settle(fan, priority)
if where == CALLED and not room.before_sale and not room.sale_over and room.is_cancelled ~= 1 then
  redis.call('ZREM', CALLED, fan)
  local pass_until = admit_fan(fan, score, joined_at, priority)
  note(fan, 'admitted')
  pace.claimed = pace.claimed + 1
  news.admitted[1] = '[' .. fan .. ',' .. int(pass_until) .. ']'
end
local standing = standing_of(fan, true, 'known')
close()
if standing[2] ~= 'admitted' then
  return { 'not_called', standing[2] }
end
return standing
