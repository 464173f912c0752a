-- pace.lua: count a fan's command, which is taken while the fan and the network keep to their pace; and say whether the
-- fan's proof to be a person stands. An allowance of a minute may be used at once, and comes back evenly (GCRA).
-- KEYS  1 the fan's pace, 2 the network's, 3 the fan's proof; all of one event
-- ARGV  1 commands a minute of a fan, 2 of a network (0: any number each)
-- Returns {0 taken, 1 the fan is over the pace, 2 the network is; retry after ms; how many more the fan has now;
-- 1 if the proof stands}. A command that is not taken is not counted.

local WINDOW_MS = 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

local paid, left = {}, 0
for i = 1, 2 do
  local per_minute = tonumber(ARGV[i])
  if per_minute > 0 then
    local each = WINDOW_MS / per_minute
    local paid_until = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + each
    local over = paid_until - now - WINDOW_MS
    if over > 0.001 then
      return { i, math.ceil(over), 0, redis.call('EXISTS', KEYS[3]) }
    end
    paid[i] = paid_until
    if i == 1 then
      left = math.floor(-over / each + 0.001)
    end
  end
end
for i, paid_until in pairs(paid) do
  redis.call('SET', KEYS[i], string.format('%.3f', paid_until), 'PX', WINDOW_MS)
end
return { 0, 0, left, redis.call('EXISTS', KEYS[3]) }
