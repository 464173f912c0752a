-- door.lua: whether the door lets fans in, how many, and how it does.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

-- Lets fans in who have these places, given as `places` keeps them, and gives when their passes end, in ms.
local function admit_fans(fans, places)
  local pass_until = now + room.pass_ms
  local passes, acted, admitted = {}, {}, {}
  for i, fan in ipairs(fans) do
    passes[2 * i - 1], passes[2 * i] = int(pass_until), fan
    acted[2 * i - 1], acted[2 * i] = int(now), fan
    admitted[2 * i - 1], admitted[2 * i] = fan, (string.gsub(places[i], '^(%d+:%d+):%d+', '%1:' .. int(now)))
  end
  redis.call('ZADD', ADMITTED, unpack(passes))
  redis.call('ZADD', ACTED, unpack(acted))
  redis.call('HSET', PLACES, unpack(admitted))
  pace.admitted = pace.admitted + #fans
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

-- Takes the tokens of fans called or let straight in, and counts these fans, for operators to see.
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

local function inside()
  return redis.call('ZCARD', CALLED) + redis.call('ZCOUNT', ADMITTED, '(' .. int(now), '+inf')
end

-- How many fans inside are about to take free seats: those called just now, and the admitted who were seen at work just
-- now. Who holds seats has them already (`acted` is then to come), and who does nothing keeps none from others.
local function at_work()
  if room.work_ms == 0 then
    return inside()
  end
  return redis.call('ZCOUNT', CALLED, '(' .. int(now + room.claim_window_ms - room.work_ms), '+inf')
    + redis.call('ZCOUNT', ACTED, '(' .. int(now - room.work_ms), int(now))
end

-- How many may be inside at a time, or at work where it is the stock that bounds them, and whether it is. A stock that
-- is not known bounds nobody.
local function slots_in_all()
  local free = tonumber(redis.call('HGET', STOCK, 'free'))
  if free and room.stock_factor > 0 then
    local by_stock = free > 0 and math.ceil(room.stock_factor * free) + room.stock_spare or 0
    if by_stock < room.capacity then
      return by_stock, true
    end
  end
  return room.capacity, false
end

-- How many of these slots nobody has. The estimates and the autopilot are told this number (counts.lua).
local function slots_free(slots, is_stock_bound)
  local free = room.capacity - inside()
  if is_stock_bound then
    free = math.min(free, slots - at_work())
  end
  return math.max(0, free)
end

-- How many wait: in line, of both classes, and in the lobby while there is one.
local function in_line()
  return redis.call('ZCARD', LINE) + redis.call('ZCARD', PRIORITY) + (room.undrawn and redis.call('ZCARD', LOBBY) or 0)
end
