-- join.lua: take a place in line, or find the one that the fan holds already.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan, 3 epoch, 4 number, 5 joined_at_ms of a verified place token (0 0 0 without one),
--       6 whether it is of the lobby, 7 whether of the priority class, 8 whether the fan has redeemed an access code
--       (0 or 1 each)
-- Returns the standing, or {code, retry_after_seconds}: unknown_room room_off closed sold_out rebuilding line_full

local REBUILDING_RETRY_SECONDS = 5
local LINE_FULL_RETRY_SECONDS_MIN = 5
local LINE_FULL_RETRY_SECONDS_MAX = 60

local fan = ARGV[2]
local token, redeemed = token_from(3), ARGV[8] == '1'
token.of_priority = redeemed or token.of_priority

if not room.state then
  return { 'unknown_room', 0 }
end
if room.state == 'off' then
  return { 'room_off', 0 }
end

-- A place held already becomes one of the priority class, at its score: fans who joined earlier still stand before.
local function prefer()
  local score, joined_at, admitted_at, priority = place_of(fan)
  local where = not priority and settle(fan, false)
  if not where or where == CALLED or where == ADMITTED then
    return
  end
  put_place(fan, score, joined_at, admitted_at, true)
  -- The next position shown counts other people.
  redis.call('HDEL', SHOWN, fan)
  if where == LINE then
    redis.call('ZREM', LINE, fan)
    redis.call('ZADD', PRIORITY, int(score), fan)
    moved(LINE, '-', int(score))
    moved(PRIORITY, '+', int(score))
  end
  note(fan, 'preferred')
  news.waiting[#news.waiting + 1] = fan
end

if redis.call('HEXISTS', PLACES, fan) == 1 then
  if redeemed then
    prefer()
  end
  local standing = standing_of(fan, true, 'known')
  if redis.call('HEXISTS', PLACES, fan) == 1 then
    close()
    return standing
  end
  -- The place lapsed just now, so this join is a new one.
end
if room.state == 'closed' or room.state == 'sold_out' then
  close()
  return { room.state, 0 }
end

if restore_place(fan, fan, token) then
  local standing = standing_of(fan, true, 'restored')
  close()
  return standing
end

if room.state == 'rebuilding' then
  close()
  return { 'rebuilding', REBUILDING_RETRY_SECONDS }
end

-- A full line is looked through for fans of whom nothing was heard for as long as an absence may last: their places end
-- and make room. Each join looks at a part of it.
local SWEEP_CHUNK = 200
local function sweep_silent()
  if not absence_over(0) then
    return
  end
  local from = room.swept_to
  local kept, more = 0, false
  for _, line in ipairs({ LINE, PRIORITY }) do
    local fans = redis.call('ZRANGE', line, int(from), int(from + SWEEP_CHUNK - 1))
    if #fans > 0 then
      local heard, silent = heard_of(fans), {}
      for i, one in ipairs(fans) do
        if heard[i] <= now - room.absence_ms then
          silent[#silent + 1] = one
        end
      end
      end_places(silent, line, 'expired')
      pace.moved = pace.moved + #silent
      kept, more = math.max(kept, #fans - #silent), more or #fans == SWEEP_CHUNK
    end
  end
  redis.call('HSET', CONFIG, 'swept_to', int(more and from + kept or 0))
end

local function is_full()
  return in_line() + redis.call('ZCARD', AWAY) + redis.call('ZCARD', IDLE) >= room.line_cap
end

local waiting = redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY)
local tokens = tokens_now()
local at_once = door_open() and waiting == 0 and tokens >= 1 and slots_free(slots_in_all()) >= 1
local full = not at_once and is_full()
if full then
  sweep_silent()
  full = is_full()
end
if full then
  close()
  local retry_seconds = LINE_FULL_RETRY_SECONDS_MAX
  if room.rate_per_minute > 0 and room.state == 'open' then
    retry_seconds = math.ceil(60 / room.rate_per_minute)
  end
  return {
    'line_full',
    math.max(LINE_FULL_RETRY_SECONDS_MIN, math.min(LINE_FULL_RETRY_SECONDS_MAX, retry_seconds)),
  }
end

if ended_of(fan) then
  forget_ended(fan)
end
if redeemed then
  note(fan, 'preferred')
end
if room.undrawn and now < room.draw_at_ms then
  enter_lobby(fan, now, redeemed)
else
  local score = next_score()
  if at_once then
    spend_tokens(tokens, 1)
    admit_fans({ fan }, { place_text(score, now, 0, redeemed) })
    note(fan, 'straight')
  else
    put_place(fan, score, now, 0, redeemed)
    redis.call('ZADD', redeemed and PRIORITY or LINE, int(score), fan)
  end
end
local standing = standing_of(fan, true, 'new')
close()
return standing
