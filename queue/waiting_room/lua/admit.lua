-- admit.lua: one tick of the door; any process may call it at any time.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event
-- Returns {code or ok, fans called, places ended, 1 if more work is due now, 1 if the draw is due}: unknown_room

local PURGE_CHUNK = 50 -- of lapsed passes, of lapsed claims, of absences that ran out, each
local WALK_CHUNK = 150 -- places looked at from the front of the line

local HISTORY_MS = 604800000 -- a week, as long as a place token lives

-- Two generations bound how many fans' histories there are; they end a week after the last fan had a place.
local function bound_histories()
  local fans_max = tonumber(redis.call('HGET', CONFIG, 'receipt_fans_max')) or 250000
  if redis.call('HLEN', HISTORY) >= fans_max then
    redis.call('UNLINK', HISTORY_BEFORE)
    redis.call('RENAME', HISTORY, HISTORY_BEFORE)
    redis.call('HSET', CONFIG, 'histories_before', '1')
    room.histories_before = '1'
  end
  if redis.call('HLEN', PLACES) > 0 then
    redis.call('PEXPIRE', HISTORY, HISTORY_MS)
  end
end

if not room.state then
  return { 'unknown_room', 0, 0, 0, 0 }
end
redis.call('HSET', CONFIG, 'ticked_at', int(now), 'resumed_at', int(room.resumed_at))
bound_histories()

local more = false
local function lapsed(key)
  local fans = redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, PURGE_CHUNK)
  more = more or #fans == PURGE_CHUNK
  return fans
end

end_places(lapsed(ADMITTED), ADMITTED, 'expired')
if claim_over(0) then
  miss_claims(lapsed(CALLED))
end
if absence_over(0) then
  end_places(lapsed(AWAY), AWAY, 'expired')
end

local calls = 0
if door_open() then
  local tokens = tokens_now()
  local slots = math.min(math.floor(tokens), slots_free())
  local front = slots > 0 and redis.call('ZRANGE', LINE, 0, WALK_CHUNK - 1) or {}
  if #front > 0 then
    local seen = redis.call('HMGET', SEEN, unpack(front))
    local called, away, over = {}, {}, {}
    local claim_by = int(now + room.claim_window_ms)
    local walked = 0
    while walked < #front and calls < slots do
      walked = walked + 1
      local fan, seen_at = front[walked], tonumber(seen[walked])
      local ends_at = seen_at + room.absence_ms
      if seen_at > now - room.connected_ms then
        calls = calls + 1
        called[2 * calls - 1] = claim_by
        called[2 * calls] = fan
        note(fan, 'called')
        news.called[calls] = '[' .. fan .. ',' .. claim_by .. ']'
      elseif absence_over(ends_at) then
        over[#over + 1] = fan
      else
        away[#away + 1] = int(ends_at)
        away[#away + 1] = fan
        note(fan, 'skipped')
      end
    end
    redis.call('ZREM', LINE, unpack(front, 1, walked))
    if calls > 0 then
      redis.call('ZADD', CALLED, unpack(called))
    end
    if #away > 0 then
      redis.call('ZADD', AWAY, unpack(away))
    end
    end_places(over, LINE, 'expired')
    spend_tokens(tokens, calls)
    pace.called = calls
    pace.moved = pace.moved + walked
    more = more or (calls < slots and #front == WALK_CHUNK)
  end
  if redis.call('ZCARD', LINE) > 0 then
    pace.backlogged = 1
  end
end
close()
return { 'ok', calls, #news.ended, more and 1 or 0, room.draw_due and 1 or 0 }
