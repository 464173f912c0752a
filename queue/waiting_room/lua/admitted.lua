-- admitted.lua: until when fans are admitted.
-- KEYS  1 admitted
-- ARGV  fans (at most operations.CHUNK)
-- Returns for each fan the end of the pass in ms, 0 if there is no live one

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local reply = redis.call('ZMSCORE', KEYS[1], unpack(ARGV))
for i, pass_end in ipairs(reply) do
  local pass_until = tonumber(pass_end) or 0
  reply[i] = pass_until > now and pass_until or 0
end
return reply
