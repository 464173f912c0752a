-- listing.lua: take what changed in a list: the fans with streams at one gateway. They are heard from whenever the lease
-- of the list is renewed, so that nobody needs to say so of each of them.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 name of the list, 3 how often it was told before, 4 fans on it, 5 fans who left it just now, each with
--       the position shown last (0: none), 6 fans of whom nothing was heard since the last renewal, who are on it no
--       more; with spaces between (at most operations.CHUNK fans in all), 7 whether this renews the lease (0 or 1)
-- Returns {1, fan who is on the list and holds no place (any more), …}; or {0}, and nothing is changed, if the list was
-- lost, wholly or in part, or if its lease lapsed. It is told anew then, under a name that it never had.
-- Of a name whose list is lost nobody needs to look through the fans: its lease lapses, and with it its word for them.

local LISTS_MAX = 8 -- on which a fan is noted at a time: the latest
local LEASE_KEPT_MS = 7200000 -- longer than any absence may last
local LEASES_LOOKED_AT = 10

local list, told = ARGV[2], tonumber(ARGV[3])
local lease = redis.call('HGET', LEASES, list)
local before = 0
if lease then
  local at, times = string.match(lease, '^(%d+):(%d+)$')
  before = tonumber(at)
  if tonumber(times) ~= told or now - before >= room.connected_ms then
    return { 0 }
  end
elseif told > 0 then
  return { 0 }
else
  local others = redis.call('HRANDFIELD', LEASES, LEASES_LOOKED_AT, 'WITHVALUES')
  for i = 1, #others, 2 do
    if now - tonumber(string.match(others[i + 1], '^%d+')) > LEASE_KEPT_MS then
      redis.call('HDEL', LEASES, others[i])
    end
  end
end

local fans, shown, is_on, heard = {}, {}, {}, {}
local function take(pairs_of_fans, stays, at)
  for fan, position in string.gmatch(pairs_of_fans, '(%d+) (%d+)') do
    fans[#fans + 1], shown[#fans + 1], is_on[#fans + 1], heard[#fans + 1] = fan, tonumber(position), stays, at
  end
end
take(ARGV[4], true, now)
take(ARGV[5], false, now)
take(string.gsub(ARGV[6], '%d+', '%0 0'), false, before)

-- The lists on which a fan is beside this one, of those whose lease stands.
local function other_lists(listed)
  local others = {}
  for name in string.gmatch(listed or '', '%S+') do
    if name ~= list and now - renewed_at(name) < room.connected_ms then
      others[#others + 1] = name
    end
  end
  return others
end

local reply = { 1 }
if #fans > 0 then
  local places, listed = redis.call('HMGET', PLACES, unpack(fans)), redis.call('HMGET', LISTED, unpack(fans))
  local shown_before = redis.call('HMGET', SHOWN, unpack(fans))
  local seen_before = redis.call('HMGET', SEEN, unpack(fans))
  local anyone_away = redis.call('ZCARD', AWAY) > 0
  local noted, off, seen, lower, back, over = {}, {}, {}, {}, {}, {}
  for i, fan in ipairs(fans) do
    local here = places[i]
    if here and anyone_away and heard[i] == now then
      local ends_at = tonumber(redis.call('ZSCORE', AWAY, fan))
      if ends_at and absence_over(ends_at) then
        over[#over + 1] = fan
        here = false
      elseif ends_at then
        back[#back + 1] = fan
      end
    end
    if here and shown[i] > 0 and shown[i] < tonumber(shown_before[i] or math.huge) then
      lower[#lower + 1] = fan
      lower[#lower + 1] = int(shown[i])
    end
    local names = listed[i] or ''
    if not here then
      off[#off + 1] = fan
      if is_on[i] then
        reply[#reply + 1] = fan
      end
    elseif is_on[i] then
      if not string.find(' ' .. names .. ' ', ' ' .. list .. ' ', 1, true) then
        local lists = other_lists(names)
        lists[#lists + 1] = list
        noted[#noted + 1] = fan
        noted[#noted + 1] = table.concat(lists, ' ', math.max(1, #lists - LISTS_MAX + 1))
      end
    else
      local lists = other_lists(names)
      if #lists > 0 then
        noted[#noted + 1] = fan
        noted[#noted + 1] = table.concat(lists, ' ')
      else
        off[#off + 1] = fan
      end
      seen[#seen + 1] = fan
      seen[#seen + 1] = int(math.max(heard[i], tonumber(seen_before[i]) or 0))
    end
  end
  end_places(over, AWAY, 'expired')
  back_in_line(back, AWAY)
  for key, values in pairs({ [LISTED] = noted, [SEEN] = seen, [SHOWN] = lower }) do
    if #values > 0 then
      redis.call('HSET', key, unpack(values))
    end
  end
  if #off > 0 then
    redis.call('HDEL', LISTED, unpack(off))
  end
end
local renews = ARGV[7] == '1' or not lease
redis.call('HSET', LEASES, list, int(renews and now or before) .. ':' .. int(told + 1))
close()
return reply
