-- place_drawn.lua: move fans from the lobby to the places that they drew.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 epoch of the drawn places, 3 number of the first fan's, 4 1 if these are the last,
--       then fans in the drawn order (at most operations.CHUNK)
-- Returns {not_due, 0, 0}, or {ok, number of the first place that is next, 1 if the draw is done}.
-- Several processes may do this at a time: a call whose first number is not the next one changes nothing. A number
-- whose fan left the lobby meanwhile stays unused. Each fan stands in the class of the place.

local LEFT_OVER_CHUNK = 100

local epoch, first = tonumber(ARGV[2]), tonumber(ARGV[3])
if not room.draw_due or room.draw ~= 'closed' then
  return { 'not_due', 0, 0 }
end
if first ~= room.drawn + 1 then
  return { 'ok', room.drawn + 1, 0 }
end

local function place(fans)
  if #fans == 0 then
    return
  end
  local inside = redis.call('ZMSCORE', LOBBY, unpack(fans))
  local places = redis.call('HMGET', PLACES, unpack(fans))
  local gone, members, held = {}, { [LINE] = {}, [PRIORITY] = {} }, {}
  for i, fan in ipairs(fans) do
    if inside[i] then
      local score = int(score_of(epoch, room.drawn + i))
      gone[#gone + 1] = fan
      local line = members[line_of(places[i])]
      line[#line + 1] = score
      line[#line + 1] = fan
      held[#held + 1] = fan
      held[#held + 1] = score .. string.match(places[i], ':.*$')
    end
  end
  if #gone > 0 then
    redis.call('ZREM', LOBBY, unpack(gone))
    for line, scored in pairs(members) do
      if #scored > 0 then
        redis.call('ZADD', line, unpack(scored))
      end
    end
    redis.call('HSET', PLACES, unpack(held))
  end
  room.drawn = room.drawn + #fans
end

place({ unpack(ARGV, 5) })
local done = 0
if ARGV[4] == '1' then
  -- A fan whom Redis lost, and who came back after the list was made, is behind all fans who are on it.
  place(redis.call('ZRANGE', LOBBY, 0, LEFT_OVER_CHUNK - 1))
  if redis.call('ZCARD', LOBBY) == 0 then
    done = 1
    redis.call('HSET', CONFIG, 'draw', 'done', 'drawn_epoch', int(epoch), 'paced_from', int(now_s))
    news.config = room.revision
  end
end
redis.call('HSET', CONFIG, 'drawn', int(room.drawn))
moves[1] = 'r'
close()
return { 'ok', room.drawn + 1, done }
