-- retake.lua: give fans who were admitted before Redis lost the room their slots again.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fan, pass_until_ms, admitted_at_ms (or a moment before), … (at most operations.CHUNK fans)
-- Returns how many slots were retaken. A fan who got a place since, or whose place ended
-- since, is left alone.

-- If Redis never lost the room, a fan who is not admitted never was, or is no longer.
if not room.state or room.rebuilt_at == 0 then
  return 0
end
local first_score = score_of(room.first_epoch, 0)
local retaken = 0
for i = 2, #ARGV, 3 do
  local fan, pass_until, admitted_at = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local score, joined_at, admitted_before, priority = place_of(fan)
  local restored = score and score < first_score and admitted_before == 0
  if pass_until > now and (restored or not score and not ended_of(fan)) then
    if restored then
      for _, where in ipairs({ LINE, PRIORITY, AWAY, CALLED }) do
        if redis.call('ZREM', where, fan) > 0 and CLASS[where] then
          moved(where, '-', int(score))
        end
      end
      redis.call('HDEL', MISSED, fan)
      redis.call('HDEL', SHOWN, fan)
    else
      score, joined_at = next_score(), admitted_at
    end
    put_place(fan, score, joined_at, admitted_at, priority)
    redis.call('ZADD', ADMITTED, int(pass_until), fan)
    redis.call('ZADD', ACTED, int(now), fan)
    redis.call('HSET', SEEN, fan, int(now))
    note(fan, 'retaken')
    news.admitted[#news.admitted + 1] = '[' .. fan .. ',' .. int(pass_until) .. ']'
    retaken = retaken + 1
  end
end
close()
return retaken
