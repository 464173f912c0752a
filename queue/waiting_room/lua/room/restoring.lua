-- restoring.lua: how a place token brings back a place that Redis has lost.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

-- The verified place token in ARGV from `first` on: epoch, number, joined_at_ms (0 0 0 without one), whether it is of the
-- lobby, whether of the priority class (0 or 1 each).
local function token_from(first)
  return {
    epoch = tonumber(ARGV[first]), number = tonumber(ARGV[first + 1]), joined_at = tonumber(ARGV[first + 2]),
    of_lobby = ARGV[first + 3] == '1', of_priority = ARGV[first + 4] == '1',
  }
end

local function forget_ended(fan)
  redis.call('HDEL', ENDED, fan)
  redis.call('HDEL', ENDED_BEFORE, fan)
end

local function enter_lobby(fan, joined_at, priority)
  local score = next_score()
  put_place(fan, score, joined_at, 0, priority)
  redis.call('ZADD', LOBBY, int(score), fan)
end

-- Give `fan` the place of the token, which names `owner`; return whether this was done. No token brings back a place
-- that ended.
local function restore_place(fan, owner, token)
  local _, ended_score = ended_of(owner)
  local epoch, number = token.epoch, token.number
  if token.of_lobby then
    if ended_score then
      return false
    end
    if room.undrawn then
      enter_lobby(fan, token.joined_at, token.of_priority)
      note(fan, 'restored')
      return true
    end
    if room.draw ~= 'done' then
      return false
    end
    -- Redis lost the fan, who missed the draw: the place is behind all drawn ones, before all fans who joined later.
    epoch = tonumber(redis.call('HGET', CONFIG, 'drawn_epoch'))
    number = redis.call('HINCRBY', CONFIG, 'drawn', 1)
  elseif number == 0 or score_of(epoch, number) <= math.max(ended_score or 0, room.forgotten) then
    return false
  end
  local score = score_of(epoch, number)
  forget_ended(fan)
  put_place(fan, score, token.joined_at, 0, token.of_priority)
  local line = token.of_priority and PRIORITY or LINE
  redis.call('ZADD', line, int(score), fan)
  moved(line, '+', int(score))
  note(fan, 'restored')
  if token.of_priority then
    note(fan, 'preferred')
  end
  -- Fans who join later stand behind every restored place, even if this Redis' clock or counter fell back.
  if score > score_of(room.epoch, room.number) then
    redis.call('HSET', CONFIG, 'epoch', int(epoch), 'number', int(number))
  end
  return true
end
