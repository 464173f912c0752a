-- admit.lua: one tick of the door; any process may call it at any time.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event
-- Returns {code or ok, fans called, places ended, 1 if more work is due now}: unknown_room

local PURGE_CHUNK = 50 -- of lapsed passes, of lapsed claims, of absences that ran out, each
local WALK_CHUNK = 150 -- places looked at from the front of the line

if not room.state then
  return { 'unknown_room', 0, 0, 0 }
end
redis.call('HSET', CONFIG, 'ticked_at', int(now), 'resumed_at', int(room.resumed_at))

local more = false
local function lapsed(key)
  local fans = redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, PURGE_CHUNK)
  more = more or #fans == PURGE_CHUNK
  return fans
end

for _, fan in ipairs(lapsed(ADMITTED)) do
  end_place(fan, ADMITTED, 'expired')
end
if claim_over(0) then
  for _, fan in ipairs(lapsed(CALLED)) do
    miss_claim(fan)
  end
end
if absence_over(0) then
  for _, fan in ipairs(lapsed(AWAY)) do
    end_place(fan, AWAY, 'expired')
  end
end

-- After an outage the door waits until everybody had time to reconnect: else the quickest would pass the first.
local calls = 0
if room.state == 'open' and now >= room.resumed_at + room.connected_seconds * 1000 then
  local tokens = tokens_now()
  local slots = math.min(math.floor(tokens), slots_free())
  if slots > 0 then
    local front = redis.call('ZRANGE', LINE, 0, WALK_CHUNK - 1)
    local seen = #front > 0 and redis.call('ZMSCORE', SEEN, unpack(front)) or {}
    local walked = 0
    for i, fan in ipairs(front) do
      if calls >= slots then
        break
      end
      walked = i
      local seen_at = tonumber(seen[i] or now - room.connected_seconds * 1000)
      if seen_at > now - room.connected_seconds * 1000 then
        local claim_by = now + room.claim_window_seconds * 1000
        redis.call('ZREM', LINE, fan)
        redis.call('ZADD', CALLED, int(claim_by), fan)
        news.called[#news.called + 1] = '[' .. fan .. ',' .. int(claim_by) .. ']'
        calls = calls + 1
      else
        local ends_at = seen_at + room.absence_seconds * 1000
        if absence_over(ends_at) then
          end_place(fan, LINE, 'expired')
        else
          redis.call('ZREM', LINE, fan)
          redis.call('ZADD', AWAY, int(ends_at), fan)
        end
      end
    end
    put_tokens(tokens - calls)
    pace.called = calls
    pace.moved = pace.moved + walked
    more = more or (calls < slots and #front == WALK_CHUNK)
  end
  if redis.call('ZCARD', LINE) > 0 then
    pace.backlogged = 1
  end
end
close()
return { 'ok', calls, #news.ended, more and 1 or 0 }
