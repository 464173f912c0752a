-- passes.lua: when the live passes of fans end.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans (at most operations.CHUNK)
-- Returns for each fan the end of the pass in ms, 0 without a live one, and the end if its fan does nothing more, 0 if
-- that is not earlier

local reply = {}
local pass_ends = redis.call('ZMSCORE', ADMITTED, unpack(ARGV, 2))
for i, pass_end in ipairs(pass_ends) do
  local pass_until = tonumber(pass_end) or 0
  if pass_until <= now then
    pass_until = 0
  end
  reply[2 * i - 1] = pass_until
  reply[2 * i] = pass_until > 0 and idle_end(ARGV[i + 1], pass_until) or 0
end
return reply
