-- admitted.lua: until when fans are admitted.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans (at most operations.CHUNK)
-- Returns for each fan the end of the pass in ms, 0 if there is no live one

local reply = {}
for i = 2, #ARGV do
  local pass_until = tonumber(redis.call('ZSCORE', ADMITTED, ARGV[i]) or 0)
  reply[i - 1] = pass_until > now and pass_until or 0
end
return reply
