-- put_back.lua: put a fan back in line, for an operator who helps: at the place that ended, or in front of everybody.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 whether in front (1) or at the place that ended (0)
-- Returns the standing, or {code, retry_after_seconds}: unknown_room room_off closed sold_out rebuilding no_place
-- A fan who is called, admitted or in the lobby stays there. The length of the line is no bound here. Nobody's shown
-- position rises, though one more may stand ahead.

local REBUILDING_RETRY_SECONDS = 5

local fan, in_front = ARGV[2], ARGV[3] == '1'
if not room.state then
  return { 'unknown_room', 0 }
end
if room.state == 'off' then
  return { 'room_off', 0 }
end
if room.state == 'closed' or room.state == 'sold_out' then
  return { room.state, 0 }
end
if room.state == 'rebuilding' or room.undrawn then
  return { 'rebuilding', REBUILDING_RETRY_SECONDS }
end

-- Before the first place of the class that waits.
local function front_score(line, own)
  local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  local score = tonumber(first[2])
  if not score or first[1] == fan then
    return own or next_score()
  end
  return score - 1
end

local held, joined_at, _, priority = place_of(fan)
local where = held and settle(fan, priority)
local outcome = 'known'
if where ~= CALLED and where ~= ADMITTED and where ~= LOBBY then
  local line = priority and PRIORITY or LINE
  local _, ended_score = ended_of(fan)
  if not where and not in_front and (not ended_score or ended_score == 0) then
    close()
    return { 'no_place', 0 }
  end
  if not where or in_front or where == AWAY or where == IDLE then
    local own = where and held or ended_score
    local score = in_front and front_score(line, own) or own
    if where then
      redis.call('ZREM', where, fan)
      if where == line then
        moved(line, '-', int(held))
      end
    else
      forget_ended(fan)
      redis.call('HDEL', DEPARTING, fan)
      pace.moved = pace.moved - 1
    end
    put_place(fan, score, joined_at or now, 0, priority)
    redis.call('ZADD', line, int(score), fan)
    moved(line, '+', int(score))
    redis.call('HSET', SEEN, fan, int(now))
    redis.call('HDEL', MISSED, fan)
    redis.call('HDEL', SHOWN, fan)
    note(fan, 'put_back')
    news.waiting[#news.waiting + 1] = fan
    outcome = 'restored'
  end
end
local standing = standing_of(fan, false, outcome)
close()
return standing
