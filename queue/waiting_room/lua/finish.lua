-- finish.lua: these fans have bought; the slots of the admitted among them are free.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans (at most operations.CHUNK)
-- Returns how many slots were freed

local freed = 0
for i = 2, #ARGV do
  local fan = ARGV[i]
  if redis.call('ZSCORE', ADMITTED, fan) then
    end_place(fan, ADMITTED, 'done')
    freed = freed + 1
  elseif redis.call('HEXISTS', PLACES, fan) == 0 then
    -- The hold outlived the pass: bought all the same.
    local state, score = ended_of(fan)
    if state == 'expired' then
      remember_ended(fan, 'done', score)
      news.ended[#news.ended + 1] = '[' .. fan .. ',"done"]'
    end
  end
end
close()
return freed
