-- front.lua: the fans whose turn is near or has come, with their places.
-- KEYS  1 line, 2 priority, 3 called, 4 away, 5 places
-- ARGV  1 how many of each class in line, and of the called and of the absent, at most
-- Returns {in line, of the priority class, called, away}, each of which is {fan, place, …} from the front on; a place is
-- as `places` keeps it.

local last = tonumber(ARGV[1]) - 1
local function with_places(fans)
  local reply = {}
  if #fans > 0 then
    local places = redis.call('HMGET', KEYS[5], unpack(fans))
    for i, fan in ipairs(fans) do
      if places[i] then
        reply[#reply + 1] = fan
        reply[#reply + 1] = places[i]
      end
    end
  end
  return reply
end
local reply = {}
for i = 1, 4 do
  reply[i] = with_places(redis.call('ZRANGE', KEYS[i], 0, last))
end
return reply
