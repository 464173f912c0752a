-- act.lua: note that a fan is at work inside; a fan who lost the pass by doing nothing goes back into line.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 whether the fan tries to book (1), or only says to be choosing (0)
-- Returns {end of the live pass in ms or 0, 1 if the fan had lost the pass by doing nothing}, or {unknown_room, 0}
-- While seats are scarce, to say so counts for choose_seconds after the last try: a page that says it for ever keeps
-- its pass no longer than that.

local fan, tries = ARGV[2], ARGV[3] == '1'
-- Whoever tries to book has a live pass most times, and needs none of the shared functions for that.
if tries and redis.call('HEXISTS', CONFIG, 'state') == 1 and redis.call('HEXISTS', PLACES, fan) == 1 then
  local time = redis.call('TIME')
  local at = time[1] * 1000 + math.floor(time[2] / 1000)
  local pass_until = tonumber(redis.call('ZSCORE', ADMITTED, fan) or 0)
  if pass_until > at then
    redis.call('HSET', TRIED, fan, string.format('%.0f', at))
    redis.call('ZADD', ACTED, 'GT', string.format('%.0f', at), fan)
    return { 'ok', pass_until, 0 }
  end
end
-- Here stands what operations share.
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
  -- The fan says to be choosing.
  local is_believed = true
  if room.scarce_since > 0 then
    local tried_at = tonumber(redis.call('HGET', TRIED, fan)) or admitted_at
    is_believed = now < idle_since(tried_at) + room.choose_ms
  end
  if is_believed then
    redis.call('ZADD', ACTED, 'GT', int(now), fan)
  end
end
close()
return { 'ok', where == ADMITTED and pass_until or 0, where == IDLE and 1 or 0 }
