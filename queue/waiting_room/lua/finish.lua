-- finish.lua: end the places of fans who have bought, and free the slots of the admitted among them.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans, each once (at most operations.CHUNK)
-- Returns how many slots were freed

local pass_ends = redis.call('ZMSCORE', ADMITTED, unpack(ARGV, 2))
local places = redis.call('HMGET', PLACES, unpack(ARGV, 2))
local bought, idle, late, late_top = {}, {}, {}, 0
for i, pass_end in ipairs(pass_ends) do
  local fan = ARGV[i + 1]
  if pass_end then
    bought[#bought + 1] = fan
  elseif places[i] and redis.call('ZSCORE', IDLE, fan) then
    idle[#idle + 1] = fan
  elseif not places[i] then
    -- The hold outlived the pass: bought all the same.
    local state, score = ended_of(fan)
    if state == 'expired' then
      late[#late + 1] = fan
      late[#late + 1] = 'done:' .. int(score) .. ':' .. int(now)
      late_top = math.max(late_top, score)
      note(fan, 'done')
      news.ended[#news.ended + 1] = '[' .. fan .. ',"done"]'
    end
  end
end
end_places(bought, ADMITTED, 'done')
end_places(idle, IDLE, 'done')
if #late > 0 then
  remember_ended(late, late_top)
end
close()
return #bought
