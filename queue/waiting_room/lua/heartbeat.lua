-- heartbeat.lua: note that fans were heard from, and put the absent among them back in line.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 fan and shown position (0: none) of each, with spaces between (at most operations.CHUNK fans)
-- Returns the fans who hold no place (any more)

local fans, shown, any_shown = {}, {}, false
for fan, position in string.gmatch(ARGV[2], '(%d+) (%d+)') do
  fans[#fans + 1] = fan
  shown[#shown + 1] = tonumber(position)
  any_shown = any_shown or position ~= '0'
end
if #fans == 0 then
  return {}
end
local places = redis.call('HMGET', PLACES, unpack(fans))
local shown_before = any_shown and redis.call('HMGET', SHOWN, unpack(fans)) or {}
local anyone_away = redis.call('ZCARD', AWAY) > 0
local seen, lower, gone, back, over = {}, {}, {}, {}, {}
for i, fan in ipairs(fans) do
  local here = places[i]
  if here and anyone_away then
    local ends_at = tonumber(redis.call('ZSCORE', AWAY, fan))
    if ends_at and absence_over(ends_at) then
      over[#over + 1] = fan
      here = false
    elseif ends_at then
      back[#back + 1] = fan
    end
  end
  if here then
    seen[#seen + 1] = fan
    seen[#seen + 1] = int(now)
    if shown[i] > 0 and shown[i] < tonumber(shown_before[i] or math.huge) then
      lower[#lower + 1] = fan
      lower[#lower + 1] = int(shown[i])
    end
  else
    gone[#gone + 1] = fan
  end
end
end_places(over, AWAY, 'expired')
back_in_line(back, AWAY)
if #seen > 0 then
  redis.call('HSET', SEEN, unpack(seen))
end
if #lower > 0 then
  redis.call('HSET', SHOWN, unpack(lower))
end
close()
return gone
