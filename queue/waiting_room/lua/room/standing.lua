-- standing.lua: where a fan stands, as operations tell it.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

-- A standing as an array, see operations.py; `work` has whether the fan is idle, and when the pass ends of one who
-- does nothing, in ms or 0.
local function told(state, joined, score, ahead, shown, waiting, claim_by, pass_until, joined_at, priority, work)
  local epoch, number = 0, 0
  if score > 0 then
    epoch, number = epoch_and_number(score)
  end
  return {
    'ok', state, room.state, joined, epoch, number, ahead, shown, waiting, claim_by, pass_until, joined_at, now,
    priority and 1 or 0, unpack(work),
  }
end

-- The fan's standing; with `touch` the call is a heartbeat.
local function standing_of(fan, touch, joined)
  local state, score, ahead, claim_by, pass_until, joined_at, shown, idle_ends = 'none', 0, 0, 0, 0, 0, 0, 0
  local where, value
  local held, held_since, _, priority = place_of(fan)
  if held then
    where, value = settle(fan, priority)
  end
  if where then
    score, joined_at = held, held_since
    if touch then
      redis.call('HSET', SEEN, fan, int(now))
      if where == AWAY then
        back_in_line({ fan }, AWAY)
        where = priority and PRIORITY or LINE
      end
    end
    if where == CALLED then
      state, claim_by = 'called', value
    elseif where == ADMITTED then
      state, pass_until = 'admitted', value
      idle_ends = idle_end(fan, value)
    elseif where == LOBBY then
      state = 'lobby'
    else
      state = 'waiting'
      ahead = redis.call('ZCOUNT', priority and PRIORITY or LINE, '-inf', '(' .. int(score))
      shown = tonumber(redis.call('HGET', SHOWN, fan))
      if room.state == 'rebuilding' or room.undrawn then
        shown = 0 -- others may still come to stand before, and a position that was shown must not rise
      elseif not shown or shown > ahead + 1 then
        shown = ahead + 1
        redis.call('HSET', SHOWN, fan, int(shown))
      end
    end
  else
    priority = false
    local ended, ended_score = ended_of(fan)
    if ended then
      state, score = ended, ended_score
    end
  end
  return told(
    state, joined, score, ahead, shown, in_line(), claim_by, pass_until, joined_at, priority,
    { where == IDLE and 1 or 0, idle_ends }
  )
end
