-- try.lua: take one try at a secret, such as a password, and set the moment of the next. A right try forgets them all.
-- KEYS  1 the tries
-- ARGV  1 tries without delay, 2 the longest delay in ms, 3 how long tries are remembered, in ms
-- Returns {1 allowed or 0, ms until the next may be made, tries}; a refusal is not counted

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'tries', 'next_at')
local tries, next_at = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
if now < next_at then
  return { 0, next_at - now, tries }
end
tries = tries + 1
local delay = 0
if tries >= tonumber(ARGV[1]) then
  -- Doubles with each try: 1 s, 2 s, 4 s …
  delay = math.min(1000 * 2 ^ math.min(tries - tonumber(ARGV[1]), 30), tonumber(ARGV[2]))
end
redis.call('HSET', KEYS[1], 'tries', tries, 'next_at', string.format('%.0f', now + delay))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 1, math.floor(delay), tries }
