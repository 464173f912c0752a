-- move.lua: give the place of a token, which names one fan, to another fan: the new session of the same person. The fan
-- whom it names loses the place in the same moment, so that it never stands twice.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 epoch, 4 number, 5 joined_at_ms of the verified token, 6 whether it is of the lobby,
--       7 whether of the priority class (0 or 1 each), 8 the fan whom it names
-- Returns the standing, or {code, retry_after_seconds}: unknown_room rebuilding
-- Nothing moves to a fan who has a place or had one, nor from a fan who is admitted: only the pass' own fan may hold and
-- buy, and what is under way would be lost. A place that ended, or was moved before, does not move.

local DRAWING_RETRY_SECONDS = 2

local fan, token, owner = ARGV[2], token_from(3), ARGV[8]
if not room.state then
  return { 'unknown_room', 0 }
end
local score, joined_at, _, priority = place_of(owner)
local where = score and settle(owner, priority)
if where == LOBBY and now >= room.draw_at_ms then
  -- The list of the draw has the fan's old name.
  close()
  return { 'rebuilding', DRAWING_RETRY_SECONDS }
end

local outcome = 'known'
if redis.call('HEXISTS', PLACES, fan) == 0 and not ended_of(fan) then
  if where then
    if where ~= ADMITTED and joined_at == token.joined_at then
      take_over(fan, owner, where)
      outcome = 'restored'
    end
  elseif room.state ~= 'off' and room.state ~= 'closed' and room.state ~= 'sold_out' then
    if restore_place(fan, owner, token) then
      local lost_score = score_of(token.epoch, token.number)
      remember_ended({ owner, 'left:' .. int(lost_score) .. ':' .. int(now) }, lost_score)
      note(fan, 'moved')
      outcome = 'restored'
    end
  end
end
local standing = standing_of(fan, true, outcome)
close()
return standing
