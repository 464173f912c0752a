-- admitted_page.lua: a page of the admitted fans, to compare with the bookings.
-- KEYS  1 admitted, 2 places
-- ARGV  1 cursor (0 first), 2 page size
-- Returns {next cursor (0: was the last), fan, admitted_at_ms, pass_until_ms, …}; lapsed passes are not in it.
-- As with ZSCAN, a fan admitted throughout comes at least once, perhaps twice, and a page may be somewhat larger.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local reply = { page[1] }
for i = 1, #page[2], 2 do
  local fan, pass_until = page[2][i], page[2][i + 1]
  local place = tonumber(pass_until) > now and redis.call('HGET', KEYS[2], fan)
  if place then
    reply[#reply + 1] = fan
    reply[#reply + 1] = string.match(place, '^%d+:%d+:(%d+)')
    reply[#reply + 1] = pass_until
  end
end
return reply
