-- try.lua: take one try at a secret, such as a password, and set the moment of the next. A right try forgets them all.
-- While tries are delayed, a network that had none yet has one nevertheless: who guesses from elsewhere must not lock the
-- owner of the secret out. So many networks have one in a window.
-- KEYS  1 the tries, 2 the networks that had a first try in this window
-- ARGV  1 tries without delay, 2 the longest delay in ms, 3 how long tries are remembered, in ms, 4 the network (empty:
--       it has no first try), 5 how many networks have a first try in a window, 6 the window in ms
-- Returns {1 allowed or 0, ms until the next may be made, 1 if it is a network's first try}; a refusal is not counted

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'tries', 'next_at')
local tries, next_at = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
if now < next_at then
  local network = ARGV[4]
  if network == '' or redis.call('SISMEMBER', KEYS[2], network) == 1 then
    return { 0, next_at - now, 0 }
  end
  local had = redis.call('SCARD', KEYS[2])
  if had >= tonumber(ARGV[5]) then
    return { 0, next_at - now, 0 }
  end
  redis.call('SADD', KEYS[2], network)
  if had == 0 then
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
  end
  return { 1, 0, 1 }
end
tries = tries + 1
local delay = 0
if tries >= tonumber(ARGV[1]) then
  -- Doubles with each try: 1 s, 2 s, 4 s …
  delay = math.min(1000 * 2 ^ math.min(tries - tonumber(ARGV[1]), 30), tonumber(ARGV[2]))
end
redis.call('HSET', KEYS[1], 'tries', tries, 'next_at', string.format('%.0f', now + delay))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 1, math.floor(delay), 0 }
