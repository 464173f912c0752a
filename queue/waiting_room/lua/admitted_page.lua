-- admitted_page.lua: a page of the admitted fans, to compare with the bookings.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 cursor (0 first), 3 page size
-- Returns {next cursor (0: was the last), fan, admitted_at_ms, pass_until_ms, …}; lapsed passes are not in it.
-- As with ZSCAN, a fan admitted throughout comes at least once, perhaps twice.

local page = redis.call('ZSCAN', ADMITTED, ARGV[2], 'COUNT', ARGV[3])
local reply = { page[1] }
for i = 1, #page[2], 2 do
  local fan, pass_until = page[2][i], tonumber(page[2][i + 1])
  local _, _, admitted_at = place_of(fan)
  if admitted_at and pass_until > now then
    reply[#reply + 1] = fan
    reply[#reply + 1] = int(admitted_at)
    reply[#reply + 1] = int(pass_until)
  end
end
return reply
