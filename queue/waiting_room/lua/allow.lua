-- allow.lua: allow at most N in a sliding window, which is this window's count and the part of the last one's that
-- still overlaps.
-- KEYS  1 the counter
-- ARGV  1 limit, 2 whether it is counted (1), only asked about (0), or one counted before is given back (-1),
--       3 the window in ms (a minute without it)
-- Returns {1 allowed or 0, retry after ms, used}; a refusal is not counted

local WINDOW_MS = tonumber(ARGV[3] or 60000)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[1])
local index = math.floor(now / WINDOW_MS)
local part = (now % WINDOW_MS) / WINDOW_MS

local kept = redis.call('HMGET', KEYS[1], 'index', 'this', 'last')
local at, this, last = tonumber(kept[1] or index), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
if at == index - 1 then
  this, last = 0, this
elseif at ~= index then
  this, last = 0, 0
end

if ARGV[2] == '-1' then
  if this + last > 0 then
    -- What was counted just before a window's end is given back there: it would count in the next one too.
    redis.call('HINCRBY', KEYS[1], (this > 0 or at ~= index) and 'this' or 'last', -1)
  end
  return { 1, 0, 0 }
end
local used = this + last * (1 - part)
if used + 1 <= limit then
  if ARGV[2] == '1' then
    redis.call('HSET', KEYS[1], 'index', string.format('%.0f', index), 'this', this + 1, 'last', last)
    if not kept[1] or at ~= index then
      -- The first of a window: it counts until the end of the next one.
      redis.call('PEXPIRE', KEYS[1], 2 * WINDOW_MS)
    end
  end
  return { 1, 0, math.ceil(used + 1) }
end
local wait_ms = WINDOW_MS
if limit >= 1 then
  if this + 1 <= limit then
    wait_ms = (1 - (limit - 1 - this) / last - part) * WINDOW_MS
  else
    wait_ms = (1 - part + math.max(0, 1 - (limit - 1) / this)) * WINDOW_MS
  end
end
return { 0, math.ceil(wait_ms), math.ceil(used) }
