-- places.lua: how places are numbered, kept, ended and put back in line.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

local NUMBERS_PER_EPOCH = 8388608 -- 2^23: (epoch, number) fits a double exactly until 2059
local EPOCH_ZERO_S = 1750000000
local MISSES_MAX = 2              -- the claim missed so often ends the place
local ENDED_MAX = 100000          -- ended places remembered in each of two generations

local function score_of(epoch, number)
  return (epoch - EPOCH_ZERO_S) * NUMBERS_PER_EPOCH + number
end

local function epoch_and_number(score)
  return math.floor(score / NUMBERS_PER_EPOCH) + EPOCH_ZERO_S, score % NUMBERS_PER_EPOCH
end

-- The epoch of the places drawn is the second of the on-sale: later than the lobby's own and than what Redis lost.
local function draw_epoch()
  return math.floor(room.draw_at_ms / 1000)
end

-- From the on-sale on, a fan who joins stands behind everybody drawn, and is numbered after them.
local function begin_draw()
  if room.draw_at_ms > 0 and now >= room.draw_at_ms and room.epoch <= draw_epoch() then
    room.epoch, room.number = draw_epoch() + 1, redis.call('ZCARD', LOBBY)
    redis.call('HSET', CONFIG, 'epoch', int(room.epoch), 'number', int(room.number))
  end
end

-- The score of a new place, behind all others.
local function next_score()
  begin_draw()
  room.number = room.number + 1
  if room.number >= NUMBERS_PER_EPOCH then
    room.epoch, room.number = math.max(now_s, room.epoch + 1), 1
  end
  redis.call('HSET', CONFIG, 'epoch', int(room.epoch), 'number', int(room.number))
  return score_of(room.epoch, room.number)
end

local OF_PRIORITY = ':1' -- what a place of the priority class ends with

-- The line in which a place waits, given as `places` keeps it.
local function line_of(place)
  return string.match(place, '^%d+:%d+:%d+(:?)') == ':' and PRIORITY or LINE
end

-- The fan's place: score, joined_at_ms, admitted_at_ms (0 before), whether it is of the priority class; nil without
-- one.
local function place_of(fan)
  local place = redis.call('HGET', PLACES, fan)
  if not place then
    return nil
  end
  local score, joined_at, admitted_at, priority = string.match(place, '^(%d+):(%d+):(%d+)(:?)')
  return tonumber(score), tonumber(joined_at), tonumber(admitted_at), priority == ':'
end

-- A place as `places` keeps it.
local function place_text(score, joined_at, admitted_at, priority)
  local class = priority and OF_PRIORITY or ''
  return int(score) .. ':' .. int(joined_at) .. ':' .. int(admitted_at) .. class
end

local function put_place(fan, ...)
  redis.call('HSET', PLACES, fan, place_text(...))
end

-- How a fan's last place ended: state, score, at_ms; nil if none is remembered.
local function ended_of(fan)
  local ended = redis.call('HGET', ENDED, fan) or redis.call('HGET', ENDED_BEFORE, fan)
  if not ended then
    return nil
  end
  local state, score, at = string.match(ended, '^(%a+):(%d+):(%d+)$')
  return state, tonumber(score), tonumber(at)
end

-- Remember ended places: fan, "state:score:at_ms", … and the highest score among them. Two generations bound the
-- memory. When the older one goes, `forgotten` keeps its highest score, so that no place token up to it can bring
-- back a place that had ended.
local function remember_ended(pairs_of_fans, top)
  if redis.call('HLEN', ENDED) >= ENDED_MAX then
    redis.call('UNLINK', ENDED_BEFORE)
    redis.call('RENAME', ENDED, ENDED_BEFORE)
    room.forgotten = math.max(room.forgotten, room.ended_before_top)
    room.ended_before_top, room.ended_top = room.ended_top, 0
    redis.call('HSET', CONFIG, 'forgotten', int(room.forgotten), 'ended_before_top', int(room.ended_before_top))
  end
  room.ended_top = math.max(room.ended_top, top)
  redis.call('HSET', CONFIG, 'ended_top', int(room.ended_top))
  redis.call('HSET', ENDED, unpack(pairs_of_fans))
  -- Until the housekeeping worker has them in Postgres; were it away for long, the room would still be bounded.
  if redis.call('HLEN', DEPARTING) < ENDED_MAX then
    redis.call('HSET', DEPARTING, unpack(pairs_of_fans))
  end
end

-- The word for an expired place on the receipt, by where it stood; in line it is an absence.
local EXPIRED = { [ADMITTED] = 'pass_over', [CALLED] = 'unclaimed' }

-- The fans are admitted no more: when they were at work matters to nobody.
local function forget_work(fans)
  redis.call('ZREM', ACTED, unpack(fans))
  redis.call('HDEL', TRIED, unpack(fans))
end

-- What this operation changes in the order of the two lines, other than by new places at the end, for gateways to count
-- ranks by (ranks.lua). Each change is a class (o: ordinary, p: priority), a sign and a number: o-7 a place of score 7 was
-- taken out, o+7 one came in, of3 the first three went. A single r says that whatever was known is to be asked anew.
local moves = {}
local CLASS = { [LINE] = 'o', [PRIORITY] = 'p' }
local function moved(line, sign, number)
  moves[#moves + 1] = CLASS[line] .. sign .. number
end

local MOVES_BYTES_MAX = 262144
local MOVES_BYTES_KEPT = 131072
local function write_moves()
  if #moves == 0 then
    return
  end
  local bytes = redis.call('APPEND', MOVES, int(now) .. ' ' .. table.concat(moves, ' ') .. ';')
  if bytes > MOVES_BYTES_MAX then
    redis.call('SET', MOVES, redis.call('GETRANGE', MOVES, bytes - MOVES_BYTES_KEPT, -1))
    redis.call('HINCRBY', CONFIG, 'moves_from', bytes - MOVES_BYTES_KEPT)
  end
end

-- When each list's lease was renewed last, in ms (listing.lua); 0 for one that ended long ago.
local renewed = {}
local function renewed_at(list)
  if not renewed[list] then
    renewed[list] = tonumber(string.match(redis.call('HGET', LEASES, list) or '', '^%d+')) or 0
  end
  return renewed[list]
end

-- When a fan was last heard from, in ms, given what `seen` and `listed` have of the fan: a fan on a list is heard from
-- whenever its lease is renewed.
local function heard_at(seen, listed)
  local at = tonumber(seen) or 0
  if listed then
    for list in string.gmatch(listed, '%S+') do
      at = math.max(at, renewed_at(list))
    end
  end
  return at
end

-- When each of the fans was last heard from.
local function heard_of(fans)
  local seen, listed = redis.call('HMGET', SEEN, unpack(fans)), redis.call('HMGET', LISTED, unpack(fans))
  local heard = {}
  for i = 1, #fans do
    heard[i] = heard_at(seen[i], listed[i])
  end
  return heard
end

-- Take away the places of fans, given as `places` keeps them, who stand in the sorted set `where`.
local function take_out(fans, where, places)
  if where == ADMITTED or where == CALLED then
    pace.freed = pace.freed + #fans
  end
  if where == ADMITTED then
    forget_work(fans)
  end
  -- The door has taken those whom it walks past out of the line already.
  if redis.call('ZREM', where, unpack(fans)) > 0 and CLASS[where] then
    for i = 1, #fans do
      moved(where, '-', string.match(places[i], '^%d+'))
    end
  end
  redis.call('HDEL', PLACES, unpack(fans))
  redis.call('HDEL', SEEN, unpack(fans))
  redis.call('HDEL', LISTED, unpack(fans))
  redis.call('HDEL', MISSED, unpack(fans))
  redis.call('HDEL', SHOWN, unpack(fans))
end

-- End the places of fans who stand in the sorted set `where`.
local function end_places(fans, where, state)
  if #fans == 0 then
    return
  end
  local places = redis.call('HMGET', PLACES, unpack(fans))
  local ended, top = {}, 0
  for i, fan in ipairs(fans) do
    -- To leave the lobby forfeits nothing: there is no place in it yet.
    local score = where == LOBBY and '0' or string.match(places[i], '^%d+')
    note(fan, state == 'expired' and (EXPIRED[where] or 'absent') or state, places[i])
    ended[2 * i - 1] = fan
    ended[2 * i] = state .. ':' .. score .. ':' .. int(now)
    top = math.max(top, tonumber(score))
    news.ended[#news.ended + 1] = '[' .. fan .. ',"' .. state .. '"]'
  end
  take_out(fans, where, places)
  remember_ended(ended, top)
end

-- Give the place of `owner`, who stands in the sorted set `where`, to `fan`, with all that belongs to it.
local function take_over(fan, owner, where)
  local place = redis.call('HGET', PLACES, owner)
  redis.call('ZADD', where, redis.call('ZSCORE', where, owner), fan)
  redis.call('ZREM', where, owner)
  if CLASS[where] then
    local score = string.match(place, '^%d+')
    moved(where, '-', score)
    moved(where, '+', score)
  end
  for _, kept in ipairs({ PLACES, SEEN, MISSED, SHOWN }) do
    local value = redis.call('HGET', kept, owner)
    if value then
      redis.call('HSET', kept, fan, value)
      redis.call('HDEL', kept, owner)
    end
  end
  redis.call('HDEL', LISTED, owner)
  if where == ADMITTED then
    local acted, tried = redis.call('ZSCORE', ACTED, owner), redis.call('HGET', TRIED, owner)
    if acted then
      redis.call('ZADD', ACTED, acted, fan)
    end
    if tried then
      redis.call('HSET', TRIED, fan, tried)
    end
    forget_work({ owner })
  end
  local history = redis.call('HGET', HISTORY, owner)
    or room.histories_before and redis.call('HGET', HISTORY_BEFORE, owner)
  if history then
    redis.call('HSET', HISTORY, fan, history)
  end
  note(fan, 'moved')
  note(owner, 'moved_away', place)
  local score = string.match(place, '^%d+')
  remember_ended({ owner, 'left:' .. score .. ':' .. int(now) }, tonumber(score))
  news.ended[#news.ended + 1] = '[' .. owner .. ',"left"]'
end

-- Put fans back in line from the sorted set `where`, each in the own class and at the old score.
local function back_in_line(fans, where)
  if #fans == 0 then
    return
  end
  local places = redis.call('HMGET', PLACES, unpack(fans))
  local members = { [LINE] = {}, [PRIORITY] = {} }
  for i, fan in ipairs(fans) do
    local line = members[line_of(places[i])]
    local score = string.match(places[i], '^%d+')
    line[#line + 1] = score
    line[#line + 1] = fan
    moved(line_of(places[i]), '+', score)
    if where == AWAY or where == IDLE then
      note(fan, 'back')
    end
  end
  if where == CALLED then
    pace.freed = pace.freed + #fans
  end
  if where == ADMITTED then
    forget_work(fans)
  end
  redis.call('ZREM', where, unpack(fans))
  for line, scored in pairs(members) do
    if #scored > 0 then
      redis.call('ZADD', line, unpack(scored))
    end
  end
  pace.moved = pace.moved - #fans
end

local function absence_over(ends_at)
  return math.max(ends_at, room.resumed_at + room.absence_ms) <= now
end

local function claim_over(claim_by)
  return math.max(claim_by, room.resumed_at + room.claim_window_ms) <= now
end

-- A claim missed once costs nothing but the turn: the place stays where it was in line. The last one ends it.
local function miss_claims(fans)
  local back, over = {}, {}
  for _, fan in ipairs(fans) do
    if redis.call('HINCRBY', MISSED, fan, 1) >= MISSES_MAX then
      over[#over + 1] = fan
    else
      back[#back + 1] = fan
      note(fan, 'missed')
      news.waiting[#news.waiting + 1] = fan
    end
  end
  pace.missed = pace.missed + #fans
  back_in_line(back, CALLED)
  end_places(over, CALLED, 'expired')
  return #over
end

-- From when on an admitted fan counts as doing nothing who was last at work then; while seats are not scarce, no pass
-- shrinks. After an outage, in which nobody could be heard, and from when seats grew scarce, all have the whole time.
local function idle_since(acted_at)
  return math.max(acted_at, room.scarce_since, room.resumed_at)
end

-- How long an admitted fan may do nothing while others wait for what the fan has, in ms, and from when this counts at
-- the earliest; nil while nobody does. The last seats are waited for less patiently than a slot.
local function idle_allowed()
  if room.scarce_since > 0 and room.idle_ms > 0 then
    return room.idle_ms, idle_since(0)
  end
  if room.crowded_since > 0 and room.choose_ms > 0 then
    return room.choose_ms, math.max(room.crowded_since, room.resumed_at)
  end
end

-- When the pass of a fan ends who was at work at that time (as Redis knows it where none is given) and does nothing
-- from now on, in ms; 0 where it does not end by that.
local function idle_end(fan, pass_until, at)
  local allowed_ms, from = idle_allowed()
  local acted_at = allowed_ms and (at or tonumber(redis.call('ZSCORE', ACTED, fan)))
  local ends_at = acted_at and math.max(acted_at, from) + allowed_ms
  return ends_at and ends_at < pass_until and ends_at or 0
end

-- Take the passes of admitted fans who did nothing while others waited for the last seats. The place stays theirs, in
-- front of the line, and they are called again once they show themselves (act.lua), for at least as long as the pass
-- would have lasted.
local function set_idle(fans)
  local pass_ends = redis.call('ZMSCORE', ADMITTED, unpack(fans))
  local idle, kept = {}, {}
  for i, pass_end in ipairs(pass_ends) do
    local pass_until = tonumber(pass_end)
    local fan = fans[i]
    if pass_until and pass_until > now then
      idle[#idle + 1] = fan
      kept[#kept + 1] = int(math.max(pass_until, now + room.absence_ms))
      kept[#kept + 1] = fan
      note(fan, 'idle')
      news.waiting[#news.waiting + 1] = fan
    end
  end
  forget_work(fans)
  if #idle > 0 then
    redis.call('ZREM', ADMITTED, unpack(idle))
    redis.call('ZADD', IDLE, unpack(kept))
    pace.freed = pace.freed + #idle
  end
end

-- Where a fan with a place of that class stands now, whatever lapsed settled first:
-- the sorted set, and the end of call, pass or absence in ms; nil if the place ended.
local function settle(fan, priority)
  local line = priority and PRIORITY or LINE
  local pass_until = tonumber(redis.call('ZSCORE', ADMITTED, fan))
  if pass_until then
    if pass_until > now then
      return ADMITTED, pass_until
    end
    end_places({ fan }, ADMITTED, 'expired')
    return nil
  end
  local claim_by = tonumber(redis.call('ZSCORE', CALLED, fan))
  if claim_by then
    if not claim_over(claim_by) then
      return CALLED, math.max(claim_by, room.resumed_at + room.claim_window_ms)
    end
    if miss_claims({ fan }) > 0 then
      return nil
    end
    return line
  end
  local ends_at = tonumber(redis.call('ZSCORE', AWAY, fan))
  if ends_at then
    if not absence_over(ends_at) then
      return AWAY, ends_at
    end
    end_places({ fan }, AWAY, 'expired')
    return nil
  end
  if redis.call('ZSCORE', IDLE, fan) then
    return IDLE
  end
  if room.undrawn and redis.call('ZSCORE', LOBBY, fan) then
    return LOBBY
  end
  return line
end
