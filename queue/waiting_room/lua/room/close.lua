-- close.lua: how an operation that changes something ends.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

-- Every operation that changes something calls it last: it writes the pace, the histories and the moves, and
-- publishes the news.
local function close()
  write_history()
  write_moves()
  local changed = false
  for _, count in pairs(pace) do
    changed = changed or count ~= 0
  end
  if changed then
    local index = math.floor(now / PACE_BUCKET_MS)
    local slot = int(index % PACE_BUCKETS)
    local sums = { 0, 0, 0, 0, 0, 0, 0 }
    local kept = redis.call('HGET', PACE, slot)
    if kept and string.match(kept, '^%d+') == int(index) then
      local i = 0
      for number in string.gmatch(string.sub(kept, #int(index) + 1), ':(-?%d+)') do
        i = i + 1
        sums[i] = tonumber(number)
      end
    end
    redis.call('HSET', PACE, slot, table.concat({
      int(index), int(sums[1] + pace.called), int(sums[2] + pace.claimed), int(sums[3] + pace.missed),
      int(sums[4] + pace.admitted), int(sums[5] + pace.moved), int(math.max(sums[6], pace.backlogged)),
      int(sums[7] + pace.freed),
    }, ':'))
  end
  local parts = {}
  for _, kind in ipairs({ 'called', 'admitted', 'waiting', 'ended' }) do
    if #news[kind] > 0 then
      parts[#parts + 1] = ',"' .. kind .. '":[' .. table.concat(news[kind], ',') .. ']'
    end
  end
  if #parts > 0 then
    redis.call(ROOM_PUBLISH, string.format(ROOM_NEWS, EVENT), '{"event":' .. EVENT .. table.concat(parts) .. '}')
  end
  if news.config then
    redis.call('PUBLISH', NEWS_CHANNEL, '{"event":' .. EVENT .. ',"config":' .. int(news.config) .. '}')
  end
end
