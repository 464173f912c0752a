-- merge.lua: give a fan the place of another fan, because the two are one person, whose accounts were joined: of two
-- places the better one stays, and the other ends.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 the fan who stays, 3 the fan who goes
-- Returns 1 if the fan who goes has no place any more, and 0 if it is to be tried again: the lobby is being drawn.
-- A slot beats a call, a call beats a place, the priority class beats the ordinary one, and else the earlier place stays.
-- A place that ended stays so.

local fan, owner = ARGV[2], ARGV[3]

local function standing_place(of)
  local score, _, _, priority = place_of(of)
  local where = score and settle(of, priority)
  return where and { of = of, where = where, score = score, priority = priority }
end

local FIRST = { [ADMITTED] = 0, [CALLED] = 1 }
local function is_better(one, other)
  local first, second = FIRST[one.where] or 2, FIRST[other.where] or 2
  if first ~= second then
    return first < second
  end
  if one.priority ~= other.priority then
    return one.priority
  end
  return one.score < other.score
end

local gone, own = standing_place(owner), standing_place(fan)
if gone and (gone.where == LOBBY or own and own.where == LOBBY) and now >= room.draw_at_ms then
  -- The list of the draw has both names.
  close()
  return 0
end
if gone and own and not is_better(gone, own) then
  end_places({ owner }, gone.where, 'left')
elseif gone then
  local listed = redis.call('HGET', LISTED, fan)
  if own then
    take_out({ fan }, own.where, { redis.call('HGET', PLACES, fan) })
  end
  forget_ended(fan)
  redis.call('HDEL', DEPARTING, fan)
  take_over(fan, owner, gone.where)
  if listed then
    redis.call('HSET', LISTED, fan, listed)
  end
  redis.call('HSET', SEEN, fan, int(now))
  if gone.where == ADMITTED then
    news.admitted[#news.admitted + 1] = '[' .. fan .. ',' .. int(redis.call('ZSCORE', ADMITTED, fan)) .. ']'
  else
    news.waiting[#news.waiting + 1] = fan
  end
end
close()
return 1
