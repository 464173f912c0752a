-- admit.lua: one tick of the door; any process may call it at any time.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 ms: nothing is done if the room was ticked within so many (0: it is ticked in any case)
-- Returns {ok, fans called, places ended, 1 if more work is due now, 1 if the draw is due, 1 if nobody holds a place, ms
-- until a call like this one would do something, where it did nothing}, or {unknown_room, 0, 0, 0, 0, 0, 0}

local PURGE_CHUNK = 50 -- of lapsed passes, of lapsed claims, of absences that ran out, each
local WALK_CHUNK = 150 -- places looked at from the front of the line, half of each class where both wait

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
  return { 'unknown_room', 0, 0, 0, 0, 0, 0 }
end
local ticked_ago, unless_within = now - room.ticked_at, tonumber(ARGV[2] or 0)
if ticked_ago >= 0 and ticked_ago < unless_within then
  return { 'ok', 0, 0, 0, 0, redis.call('HLEN', PLACES) == 0 and 1 or 0, unless_within - ticked_ago }
end
redis.call('HSET', CONFIG, 'ticked_at', int(now), 'resumed_at', int(room.resumed_at))
bound_histories()

local more = false
local function lapsed(key)
  local fans = redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, PURGE_CHUNK)
  more = more or #fans == PURGE_CHUNK
  return fans
end

-- The place of an idle fan ends like that of an absent one: not while its fan is there.
local function keep_idle(fans)
  if #fans == 0 then
    return
  end
  local heard, over = heard_of(fans), {}
  for i, fan in ipairs(fans) do
    if heard[i] > now - room.absence_ms then
      redis.call('ZADD', IDLE, int(now + room.absence_ms), fan)
    else
      over[#over + 1] = fan
    end
  end
  end_places(over, IDLE, 'expired')
end

-- Seats are scarce while more fans inside could take them than there are, and others wait. It is over once twice as many
-- are free as could be taken by the fans inside, so that a few who leave do not give every idle fan a new time.
local function mark_scarcity()
  local free = tonumber(redis.call('HGET', STOCK, 'free')) or 0
  local scarce = false
  if room.idle_ms > 0 and free > 0 and door_open()
      and redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY) > 0 then
    local without_seats = redis.call('ZCARD', CALLED) + redis.call('ZCOUNT', ACTED, '-inf', int(now))
    scarce = without_seats * (room.scarce_since > 0 and 2 or 1) > free
  end
  if scarce ~= (room.scarce_since > 0) then
    room.scarce_since = scarce and now or 0
    redis.call('HSET', CONFIG, 'scarce_since', int(room.scarce_since))
  end
end

-- The room is crowded while every slot is taken, and others wait for one.
local function mark_crowd()
  local crowded = door_open() and room.capacity - inside() <= 0
    and redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY) > 0
  if crowded ~= (room.crowded_since > 0) then
    room.crowded_since = crowded and now or 0
    redis.call('HSET', CONFIG, 'crowded_since', int(room.crowded_since))
  end
end

end_places(lapsed(ADMITTED), ADMITTED, 'expired')
if claim_over(0) then
  miss_claims(lapsed(CALLED))
end
if absence_over(0) then
  end_places(lapsed(AWAY), AWAY, 'expired')
  keep_idle(lapsed(IDLE))
end
mark_scarcity()
mark_crowd()
local allowed_ms, allowed_from = idle_allowed()
if allowed_ms and allowed_from + allowed_ms <= now then
  local idle = redis.call('ZRANGEBYSCORE', ACTED, '-inf', int(now - allowed_ms), 'LIMIT', 0, PURGE_CHUNK)
  more = more or #idle == PURGE_CHUNK
  if #idle > 0 then
    set_idle(idle)
  end
end

-- The sale was moved to later while fans were called and admitted: they go back to their places, and nothing of their
-- passes is lost before the sale begins. Or the event was cancelled, and their turns end.
local function take_back(key)
  local fans = redis.call('ZRANGE', key, 0, PURGE_CHUNK - 1)
  more = more or #fans == PURGE_CHUNK
  for _, fan in ipairs(fans) do
    note(fan, room.is_cancelled == 1 and 'called_off' or 'put_off')
    news.waiting[#news.waiting + 1] = fan
  end
  back_in_line(fans, key)
end

if room.before_sale or room.is_cancelled == 1 then
  take_back(CALLED)
  take_back(ADMITTED)
  take_back(IDLE)
end

-- The first fans of a class. They are looked at from the front: each is called, or was not heard from and is away.
local function front_of(line, chunk)
  local fans = chunk > 0 and redis.call('ZRANGE', line, 0, chunk - 1) or {}
  local seen = #fans > 0 and redis.call('HMGET', SEEN, unpack(fans)) or {}
  local listed = #fans > 0 and redis.call('HMGET', LISTED, unpack(fans)) or {}
  return { line = line, fans = fans, seen = seen, listed = listed, walked = 0 }
end

local function walked_out(front)
  return front.walked == #front.fans
end

local calls = 0
if door_open() then
  local tokens = tokens_now()
  local slots = math.min(math.floor(tokens), slots_free(slots_in_all()))
  local chunk = slots > 0 and WALK_CHUNK or 0
  local both = slots > 0 and redis.call('ZCARD', PRIORITY) > 0
  if both then
    chunk = math.ceil(WALK_CHUNK / 2)
  end
  local ordinary, priority = front_of(LINE, chunk), front_of(PRIORITY, both and chunk or 0)
  if #ordinary.fans + #priority.fans > 0 then
    local called, away, over = {}, {}, {}
    local claim_by = int(now + room.claim_window_ms)
    local credit = both and tonumber(redis.call('HGET', BUCKET, 'credit')) or 0
    local credit_before = credit
    both = #ordinary.fans > 0 and #priority.fans > 0
    if both and room.priority_share == 0 then
      ordinary.scores = redis.call('ZMSCORE', LINE, unpack(ordinary.fans))
      priority.scores = redis.call('ZMSCORE', PRIORITY, unpack(priority.fans))
    end

    -- The class whose turn it is. While both wait, each call adds the share to the priority class's credit, and a call
    -- of its own takes 100 away: of any number of calls it has had its share, to within one. A class in which nobody
    -- waits neither saves nor owes. Without a share there is one order for all, that of joining.
    local function turn()
      local first
      if not both then
        first = walked_out(ordinary)
      elseif room.priority_share == 0 then
        first = tonumber(priority.scores[priority.walked + 1]) < tonumber(ordinary.scores[ordinary.walked + 1])
      else
        first = credit + room.priority_share >= 100
      end
      return first and priority or ordinary
    end

    -- A class may be longer than what was looked at. The rest is for the next tick, or the other class would be called
    -- beyond its share.
    local function cut_short()
      return ordinary.walked == chunk or (priority.walked > 0 and priority.walked == chunk)
    end

    while calls < slots and not cut_short() and not (walked_out(ordinary) and walked_out(priority)) do
      both = not walked_out(ordinary) and not walked_out(priority)
      local front = turn()
      front.walked = front.walked + 1
      local fan = front.fans[front.walked]
      local heard = heard_at(front.seen[front.walked], front.listed[front.walked])
      local ends_at = heard + room.absence_ms
      if heard > now - room.connected_ms then
        calls = calls + 1
        if both then
          credit = credit + room.priority_share - (room.priority_share > 0 and front == priority and 100 or 0)
        end
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
    for _, front in ipairs({ ordinary, priority }) do
      if front.walked > 0 then
        redis.call('ZREM', front.line, unpack(front.fans, 1, front.walked))
        moved(front.line, 'f', front.walked)
      end
    end
    if calls > 0 then
      redis.call('ZADD', CALLED, unpack(called))
    end
    if #away > 0 then
      redis.call('ZADD', AWAY, unpack(away))
    end
    end_places(over, LINE, 'expired')
    spend_tokens(tokens, calls)
    if credit ~= credit_before then
      redis.call('HSET', BUCKET, 'credit', int(credit))
    end
    pace.called = calls
    pace.moved = pace.moved + ordinary.walked + priority.walked
    more = more or (calls < slots and cut_short())
  end
  if redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY) > 0 then
    pace.backlogged = 1
  end
end
close(true)
local empty = redis.call('HLEN', PLACES) == 0
return { 'ok', calls, #news.ended, more and 1 or 0, room.draw_due and 1 or 0, empty and 1 or 0, 0 }
