-- room.lua: how the room stands. It comes before each operation on a room, and behind what reading.py writes: the keys
-- by their names (CONFIG, LINE, ...), and `room`, which has every dial and field that Redis keeps of it. Seconds are
-- milliseconds there: `pass_seconds` is `room.pass_ms`.
-- KEYS  a room's keys, always all and in the order of keys.py
-- ARGV  1 event; the rest is the operation's own
--
-- A fan holds a place while `places` names them, and is then in exactly one of line, priority, away, called,
-- admitted, idle. A place is of one class, which its last part tells: the ordinary waits in `line`, the priority class in `priority`.
-- Fans and scores travel as decimal strings: cjson and tostring() round numbers of more than 14 digits.

local EVENT = ARGV[1]

local PACE_BUCKET_MS = 10000
local PACE_BUCKETS = 60

local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now = now_s * 1000 + math.floor(tonumber(time[2]) / 1000)

local function int(number)
  return string.format('%.0f', number)
end

-- How the room stands now, by how it was set; `room.state` is nil where Redis knows no such room.
do
  -- With the autopilot on, the operator's rate is a ceiling.
  if room.autopilot == 1 and room.steered_rate then
    room.rate_per_minute = math.min(room.rate_per_minute, room.steered_rate)
  end
  -- Until its lobby is drawn an open room is not open yet.
  room.undrawn = room.draw_at_ms > 0 and room.draw ~= 'done'
  if room.undrawn and (room.state == 'open' or room.state == 'paused') then
    room.state = now < room.lobby_at_ms and 'closed' or 'lobby'
  end
  -- Without a lobby fans may join before the sale, and wait until it begins.
  room.before_sale = now < room.on_sale_at_ms
  if room.before_sale and room.state == 'open' then
    room.state = 'paused'
  end
  room.sale_over = room.off_sale_at_ms > 0 and now >= room.off_sale_at_ms
  if room.sale_over and room.state and room.state ~= 'off' then
    room.state = 'closed'
  end
  if now < room.rebuild_until and (room.state == 'open' or room.state == 'paused' or room.state == 'lobby') then
    room.state = 'rebuilding'
  end
  room.draw_due = room.undrawn and room.state == 'lobby' and now >= room.draw_at_ms
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

-- What the operation did, which close() tells the gateways and adds to the room's pace.
local news = { called = {}, admitted = {}, waiting = {}, ended = {} }
local pace = { called = 0, claimed = 0, missed = 0, admitted = 0, moved = 0, backlogged = 0, freed = 0 }
