-- room.lua: what the operations on a room share; scripts.py puts it before each of them.
-- KEYS  a room's keys, always all and in the order of keys.py
-- ARGV  1 event; the rest is the operation's own
--
-- A fan holds a place while `places` names them, and is then in exactly one of line, priority, away, called, admitted.
-- A place is of one class, which its last part tells: the ordinary waits in `line`, the priority class in `priority`.
-- Fans and scores travel as decimal strings: cjson and tostring() round numbers of more than 14 digits.

local CONFIG, LINE, PLACES, SEEN, AWAY, CALLED, MISSED, ADMITTED, ENDED, ENDED_BEFORE, SHOWN, BUCKET, PACE, STOCK,
  DEPARTING, LOBBY, HISTORY, HISTORY_BEFORE, PRIORITY = unpack(KEYS)
local EVENT = ARGV[1]

local NUMBERS_PER_EPOCH = 8388608 -- 2^23: (epoch, number) fits a double exactly until 2059
local EPOCH_ZERO_S = 1750000000
local MISSES_MAX = 2              -- the claim missed so often ends the place
local ENDED_MAX = 100000          -- ended places remembered in each of two generations
local HISTORY_ENTRY_BYTES_MIN = 19
local HISTORY_ENTRY_BYTES_MAX = 30
local PACE_BUCKET_MS = 10000
local PACE_BUCKETS = 60

local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now = now_s * 1000 + math.floor(tonumber(time[2]) / 1000)

local function int(number)
  return string.format('%.0f', number)
end

-- The room as configured and how it stands; `room.state` is nil where Redis knows no such room.
local room
do
  local values = redis.call('HMGET', CONFIG,
    'state', 'rate_per_minute', 'capacity', 'line_cap', 'claim_window_seconds', 'pass_seconds', 'absence_seconds',
    'connected_seconds', 'stock_factor', 'revision', 'epoch', 'number', 'ended_top', 'ended_before_top', 'forgotten',
    'ticked_at', 'resumed_at', 'rebuilt_at', 'rebuild_until', 'first_epoch', 'lobby_at_ms', 'draw_at_ms', 'draw', 'drawn',
    'receipt_entries_max', 'histories_before', 'autopilot', 'steered_rate', 'priority_share')
  room = {
    state = values[1] or nil,
    rate_per_minute = tonumber(values[2]) or 0,
    capacity = tonumber(values[3]) or 0,
    line_cap = tonumber(values[4]) or 0,
    claim_window_ms = (tonumber(values[5]) or 0) * 1000,
    pass_ms = (tonumber(values[6]) or 0) * 1000,
    absence_ms = (tonumber(values[7]) or 0) * 1000,
    connected_ms = (tonumber(values[8]) or 0) * 1000,
    stock_factor = tonumber(values[9]) or 0,
    revision = tonumber(values[10]) or 0,
    epoch = tonumber(values[11]) or 0,
    number = tonumber(values[12]) or 0,
    ended_top = tonumber(values[13]) or 0,               -- highest score in `ended`
    ended_before_top = tonumber(values[14]) or 0,        -- and in `ended_before`
    forgotten = tonumber(values[15]) or 0,               -- and in what was forgotten of both
    ticked_at = tonumber(values[16]) or 0,
    resumed_at = tonumber(values[17]) or 0,
    rebuilt_at = tonumber(values[18]) or 0,              -- when Redis was found to have lost the room; 0: never
    first_epoch = tonumber(values[20]) or 0,             -- this Redis' own; places before it were restored
    lobby_at = tonumber(values[21]) or 0,
    draw_at = tonumber(values[22]) or 0,                 -- the on-sale that ends the lobby; 0: there is none
    draw = values[23] or 'pending',                      -- then closed (its list), then done
    drawn = tonumber(values[24]) or 0,                   -- places given by it so far
    receipt_entries_max = tonumber(values[25]) or 50,
    histories_before = values[26],                       -- there is an older generation of them
    priority_share = tonumber(values[29]) or 50,         -- of the calls while both classes wait, in percent
  }
  -- With the autopilot on, the operator's rate is a ceiling.
  if values[27] == '1' and values[28] then
    room.rate_per_minute = math.min(room.rate_per_minute, tonumber(values[28]))
  end
  -- Until its lobby is drawn an open room is not open yet.
  room.undrawn = room.draw_at > 0 and room.draw ~= 'done'
  if room.undrawn and (room.state == 'open' or room.state == 'paused') then
    room.state = now < room.lobby_at and 'closed' or 'lobby'
  end
  local rebuild_until = tonumber(values[19]) or 0
  if now < rebuild_until and (room.state == 'open' or room.state == 'paused' or room.state == 'lobby') then
    room.state = 'rebuilding'
  end
  room.draw_due = room.undrawn and room.state == 'lobby' and now >= room.draw_at
  -- While no tick ran for this long (Redis or every gateway was down) nobody could be heard: the time away and the
  -- claim window start afresh when the room comes back, so that an outage expires no one. An empty room only slept.
  if room.ticked_at > 0 and now - room.ticked_at > room.connected_ms then
    if redis.call('HLEN', PLACES) > 0 then
      room.resumed_at = now
    else
      redis.call('HSET', CONFIG, 'ticked_at', int(now))
    end
  end
end

local news = { called = {}, admitted = {}, waiting = {}, ended = {} }
local pace = { called = 0, claimed = 0, missed = 0, admitted = 0, moved = 0, backlogged = 0, freed = 0 }

local function score_of(epoch, number)
  return (epoch - EPOCH_ZERO_S) * NUMBERS_PER_EPOCH + number
end

local function epoch_and_number(score)
  return math.floor(score / NUMBERS_PER_EPOCH) + EPOCH_ZERO_S, score % NUMBERS_PER_EPOCH
end

-- The epoch of the places drawn: the second of the on-sale, later than the lobby's own and whatever Redis lost.
local function draw_epoch()
  return math.floor(room.draw_at / 1000)
end

-- From the on-sale on, who joins stands behind everybody drawn, and is numbered after them.
local function begin_draw()
  if room.draw_at > 0 and now >= room.draw_at and room.epoch <= draw_epoch() then
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

-- What befell fans, to be told on their receipts: written once, by close(). `place` is given where it ends here. To
-- have joined is not noted, for the place tells it: the first note after it brings it along.
local noted, notes, noted_places = {}, {}, {}
local function note(fan, what, place)
  if not notes[fan] then
    noted[#noted + 1] = fan
    notes[fan] = ''
  end
  notes[fan] = notes[fan] .. what .. ':' .. int(now) .. ';'
  noted_places[fan] = place
end

local OF_PRIORITY = ':1' -- what a place of the priority class ends with

-- Where a place, as `places` has it, waits.
local function line_of(place)
  return string.match(place, '^%d+:%d+:%d+(:?)') == ':' and PRIORITY or LINE
end

-- score, joined_at_ms, admitted_at_ms (0 before), whether it is of the priority class, of the fan's place; nil without
-- one.
local function place_of(fan)
  local place = redis.call('HGET', PLACES, fan)
  if not place then
    return nil
  end
  local score, joined_at, admitted_at, priority = string.match(place, '^(%d+):(%d+):(%d+)(:?)')
  return tonumber(score), tonumber(joined_at), tonumber(admitted_at), priority == ':'
end

local function put_place(fan, score, joined_at, admitted_at, priority)
  local class = priority and OF_PRIORITY or ''
  redis.call('HSET', PLACES, fan, int(score) .. ':' .. int(joined_at) .. ':' .. int(admitted_at) .. class)
end

-- state, score, at_ms of a fan whose place ended; nil if none is remembered.
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

-- How an expired place is told on the receipt, by where it stood; in line it was an absence.
local EXPIRED = { [ADMITTED] = 'pass_over', [CALLED] = 'unclaimed' }

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
  if where == ADMITTED or where == CALLED then
    pace.freed = pace.freed + #fans
  end
  redis.call('ZREM', where, unpack(fans))
  redis.call('HDEL', PLACES, unpack(fans))
  redis.call('HDEL', SEEN, unpack(fans))
  redis.call('HDEL', MISSED, unpack(fans))
  redis.call('HDEL', SHOWN, unpack(fans))
  remember_ended(ended, top)
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
    line[#line + 1] = string.match(places[i], '^%d+')
    line[#line + 1] = fan
    if where == AWAY then
      note(fan, 'back')
    end
  end
  if where == CALLED then
    pace.freed = pace.freed + #fans
  end
  redis.call('ZREM', where, unpack(fans))
  for line, those in pairs(members) do
    if #those > 0 then
      redis.call('ZADD', line, unpack(those))
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
  if room.undrawn and redis.call('ZSCORE', LOBBY, fan) then
    return LOBBY
  end
  return line
end

local function admit_fan(fan, score, joined_at, priority)
  local pass_until = now + room.pass_ms
  redis.call('ZADD', ADMITTED, int(pass_until), fan)
  put_place(fan, score, joined_at, now, priority)
  pace.admitted = pace.admitted + 1
  return pass_until
end

-- Tokens in the bucket now: at most one second's worth, and room for one whatever the rate.
local function tokens_now()
  if room.rate_per_minute <= 0 then
    return 0
  end
  local burst = math.max(1, room.rate_per_minute / 60)
  local bucket = redis.call('HMGET', BUCKET, 'tokens', 'at')
  if not bucket[1] then
    return burst
  end
  local elapsed_ms = math.max(0, now - tonumber(bucket[2]))
  return math.min(burst, tonumber(bucket[1]) + elapsed_ms * room.rate_per_minute / 60000)
end

-- Fans called or let straight in: their tokens, and how many there were ever, for whoever looks at the door.
local function spend_tokens(tokens, fans)
  redis.call('HSET', BUCKET, 'tokens', string.format('%.17g', tokens - fans), 'at', int(now))
  if fans > 0 then
    redis.call('HINCRBY', CONFIG, 'let_in', fans)
  end
end

-- After an outage the door waits until everybody had time to reconnect: else the quickest would pass the first.
local function door_open()
  return room.state == 'open' and now >= room.resumed_at + room.connected_ms
end

-- How many more fans capacity and stock let in; a stock never told limits nobody.
local function slots_free()
  local active = redis.call('ZCARD', CALLED) + redis.call('ZCOUNT', ADMITTED, '(' .. int(now), '+inf')
  local slots = room.capacity - active
  local free = tonumber(redis.call('HGET', STOCK, 'free'))
  if free and room.stock_factor > 0 then
    slots = math.min(slots, math.ceil(room.stock_factor * free) - active)
  end
  return math.max(0, slots)
end

-- How many wait: in line, of both classes, and in the lobby while there is one.
local function in_line()
  return redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY) + (room.undrawn and redis.call('ZCARD', LOBBY) or 0)
end

-- The fan's standing as an array, see operations.py; with `touch` the call is a heartbeat.
local function standing_of(fan, touch, joined)
  local state, score, ahead, claim_by, pass_until, joined_at, shown = 'none', 0, 0, 0, 0, 0, 0
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
    elseif where == LOBBY then
      state = 'lobby'
    else
      state = 'waiting'
      ahead = redis.call('ZCOUNT', priority and PRIORITY or LINE, '-inf', '(' .. int(score))
      shown = tonumber(redis.call('HGET', SHOWN, fan))
      if room.state == 'rebuilding' or room.undrawn then
        shown = 0 -- a position told while others still come to stand before it would have to rise
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
  local epoch, number = 0, 0
  if score > 0 then
    epoch, number = epoch_and_number(score)
  end
  return {
    'ok', state, room.state, joined, epoch, number, ahead, shown, in_line(), claim_by, pass_until, joined_at, now,
    priority and 1 or 0,
  }
end

local ENDINGS = { left = true, done = true, pass_over = true, unclaimed = true, absent = true }

-- Append to the fans' histories, each of which is bounded; how many there are, and for how long, admit.lua sees to.
local function write_history()
  if #noted == 0 then
    return
  end
  local known = redis.call('HMGET', HISTORY, unpack(noted))
  local before = room.histories_before and redis.call('HMGET', HISTORY_BEFORE, unpack(noted)) or {}
  local places = redis.call('HMGET', PLACES, unpack(noted))
  local written = {}
  for i, fan in ipairs(noted) do
    local history = known[i] or before[i] or ''
    local place = noted_places[fan] or places[i]
    if place and (history == '' or ENDINGS[string.match(string.sub(history, -HISTORY_ENTRY_BYTES_MAX), '([%a_]+):%d+;$')]) then
      local joined_at = string.match(place, '^%d+:(%d+)')
      local where = room.draw_at > tonumber(joined_at) and 'lobby' or 'joined'
      history = history .. where .. ':' .. joined_at .. ';'
    end
    history = history .. notes[fan]
    if #history > room.receipt_entries_max * HISTORY_ENTRY_BYTES_MIN then
      local _, entries = string.gsub(history, ';', '')
      for _ = room.receipt_entries_max + 1, entries do
        history = string.sub(history, string.find(history, ';', 1, true) + 1)
      end
    end
    written[2 * i - 1] = fan
    written[2 * i] = history
  end
  redis.call('HSET', HISTORY, unpack(written))
end

-- Last call of every operation that changes something: keep the pace and the histories, tell the gateways.
local function close()
  write_history()
  local changed = false
  for _, count in pairs(pace) do
    changed = changed or count ~= 0
  end
  if changed then
    local index = math.floor(now / PACE_BUCKET_MS)
    local slot = int(index % PACE_BUCKETS)
    local sums = { 0, 0, 0, 0, 0, 0, 0 }
    local kept = redis.call('HGET', PACE, slot)
    if kept and string.match(kept, '^%d+') == int(index) then
      local i = 0
      for number in string.gmatch(string.sub(kept, #int(index) + 1), ':(-?%d+)') do
        i = i + 1
        sums[i] = tonumber(number)
      end
    end
    redis.call('HSET', PACE, slot, table.concat({
      int(index), int(sums[1] + pace.called), int(sums[2] + pace.claimed), int(sums[3] + pace.missed),
      int(sums[4] + pace.admitted), int(sums[5] + pace.moved), int(math.max(sums[6], pace.backlogged)),
      int(sums[7] + pace.freed),
    }, ':'))
  end
  local parts = {}
  for _, kind in ipairs({ 'called', 'admitted', 'waiting', 'ended' }) do
    if #news[kind] > 0 then
      parts[#parts + 1] = ',"' .. kind .. '":[' .. table.concat(news[kind], ',') .. ']'
    end
  end
  if news.config then
    parts[#parts + 1] = ',"config":' .. int(news.config)
  end
  if #parts > 0 then
    redis.call('PUBLISH', 'room:news', '{"event":' .. EVENT .. table.concat(parts) .. '}')
  end
end
