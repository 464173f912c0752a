-- act.lua: note that a fan is at work inside; a fan who lost the pass by doing nothing goes back into line.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 whether the fan tries to book (1), or only says to be choosing (0)
-- Returns {end of the live pass in ms or 0, 1 if the fan had lost the pass by doing nothing}, or {unknown_room, 0}
-- While seats are scarce, to say so counts for choose_seconds after the last try: a page that says it for ever keeps
-- its pass no longer than that.

local fan = ARGV[2]
if not room.state then
  return { 'unknown_room', 0 }
end
local score, _, admitted_at, priority = place_of(fan)
local where, pass_until = nil, 0
if score then
  where, pass_until = settle(fan, priority)
end
if where == IDLE then
  redis.call('HSET', SEEN, fan, int(now))
  back_in_line({ fan }, IDLE)
  news.waiting[1] = fan
elseif where == ADMITTED then
  local tries = ARGV[3] == '1'
  if tries then
    redis.call('HSET', TRIED, fan, int(now))
  elseif room.scarce_since > 0 then
    local tried_at = tonumber(redis.call('HGET', TRIED, fan)) or admitted_at
    tries = now < idle_since(tried_at) + room.choose_ms
  else
    tries = true
  end
  if tries then
    redis.call('ZADD', ACTED, 'GT', int(now), fan)
  end
end
close()
return { 'ok', where == ADMITTED and pass_until or 0, where == IDLE and 1 or 0 }
