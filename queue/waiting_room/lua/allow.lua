-- allow.lua: allow at most N in a sliding window, which is this window's count and the part of the last one's that
-- still overlaps.
-- KEYS  the counters, one after another; one may come several times
-- ARGV  1 limit, 2 whether it is counted (1), only asked about (0), or one counted before is given back (-1),
--       3 the window in ms (a minute without it)
-- Returns for each counter, in one list: 1 allowed or 0, retry after ms, used; a refusal is not counted

local WINDOW_MS = tonumber(ARGV[3] or 60000)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[1])
local counts, gives_back = ARGV[2] == '1', ARGV[2] == '-1'
local index = math.floor(now / WINDOW_MS)
local part = (now % WINDOW_MS) / WINDOW_MS

-- Gives whether one more is allowed, retry after ms, and what is used.
local function answer(key)
  local kept = redis.call('HMGET', key, 'index', 'this', 'last')
  local at, this, last = tonumber(kept[1] or index), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
  if at == index - 1 then
    this, last = 0, this
  elseif at ~= index then
    this, last = 0, 0
  end

  if gives_back then
    if this + last > 0 then
      -- What was counted just before a window's end is given back there: it would count in the next one too.
      redis.call('HINCRBY', key, (this > 0 or at ~= index) and 'this' or 'last', -1)
    end
    return 1, 0, 0
  end
  local used = this + last * (1 - part)
  if used + 1 <= limit then
    if counts then
      if kept[1] and at == index then
        redis.call('HSET', key, 'this', this + 1)
      else
        -- The first of a window: it counts until the end of the next one.
        redis.call('HSET', key, 'index', string.format('%.0f', index), 'this', this + 1, 'last', last)
        redis.call('PEXPIRE', key, 2 * WINDOW_MS)
      end
    end
    return 1, 0, math.ceil(used + 1)
  end
  local wait_ms = WINDOW_MS
  if limit >= 1 then
    if this + 1 <= limit then
      wait_ms = (1 - (limit - 1 - this) / last - part) * WINDOW_MS
    else
      wait_ms = (1 - part + math.max(0, 1 - (limit - 1) / this)) * WINDOW_MS
    end
  end
  return 0, math.ceil(wait_ms), math.ceil(used)
end

local answers = {}
for i, key in ipairs(KEYS) do
  answers[3 * i - 2], answers[3 * i - 1], answers[3 * i] = answer(key)
end
return answers
