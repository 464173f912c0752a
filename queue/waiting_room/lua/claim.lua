-- claim.lua: give called fans their passes, unless the sale has not begun or is over, or the event is cancelled; an
-- admitted fan gets the same pass again.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, then fans, at most operations.CLAIMS
-- Returns for each fan the standing, or {not_called, state}; or {unknown_room, 0}

if not room.state then
  return { 'unknown_room', 0 }
end
local fans = { unpack(ARGV, 2) }
local claiming, places, places_of = {}, {}, {}
if not room.before_sale and not room.sale_over and room.is_cancelled ~= 1 then
  local held, claim_bys = redis.call('HMGET', PLACES, unpack(fans)), redis.call('ZMSCORE', CALLED, unpack(fans))
  for i, fan in ipairs(fans) do
    if held[i] and claim_bys[i] and not places_of[fan] and not claim_over(tonumber(claim_bys[i])) then
      claiming[#claiming + 1], places[#places + 1], places_of[fan] = fan, held[i], held[i]
    end
  end
end

local pass_until, waiting, idle_ends
if #claiming > 0 then
  redis.call('ZREM', CALLED, unpack(claiming))
  pass_until = admit_fans(claiming, places)
  local seen = {}
  for i, fan in ipairs(claiming) do
    seen[2 * i - 1], seen[2 * i] = fan, int(now)
    note(fan, 'admitted')
    news.admitted[i] = '[' .. fan .. ',' .. int(pass_until) .. ']'
  end
  redis.call('HSET', SEEN, unpack(seen))
  pace.claimed = #claiming
  waiting, idle_ends = in_line(), idle_end(nil, pass_until, now)
end

local standings = {}
for i, fan in ipairs(fans) do
  if places_of[fan] then
    local score, joined_at, priority = string.match(places_of[fan], '^(%d+):(%d+):%d+(:?)')
    standings[i] = told(
      'admitted', 'known', tonumber(score), 0, 0, waiting, 0, pass_until, tonumber(joined_at), priority == ':',
      { 0, idle_ends }
    )
  else
    local standing = standing_of(fan, true, 'known')
    standings[i] = standing[2] == 'admitted' and standing or { 'not_called', standing[2] }
  end
end
close()
return standings
