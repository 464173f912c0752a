-- extend.lua: live passes last at least until then; none is shortened, none that lapsed comes back.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fan, until_ms, … (at most operations.CHUNK fans)
-- Returns how many passes now end later

local extended = 0
for i = 2, #ARGV, 2 do
  local pass_until = tonumber(redis.call('ZSCORE', ADMITTED, ARGV[i]) or 0)
  if pass_until > now and tonumber(ARGV[i + 1]) > pass_until then
    redis.call('ZADD', ADMITTED, ARGV[i + 1], ARGV[i])
    extended = extended + 1
  end
end
return extended
