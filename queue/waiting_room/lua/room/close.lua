-- close.lua: how an operation that changes something ends.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

local NEWS_KINDS = { c = 'called', a = 'admitted', w = 'waiting', e = 'ended' }
local NEWS_ORDER = { 'c', 'a', 'w', 'e' }
local NEWS_BYTES_MAX = 16384 -- of news that wait; with an operation's own, a message is at most about twice as long

-- Publishes what happened to fans, together with what waits to be published. A message costs each gateway with fans of
-- this event, so that operations which follow each other closely share one: within news_ms of the last message their
-- news wait for the next one, at the latest for that of the door's next tick. A room that is off is not ticked.
local function publish_news(is_tick)
  local own = {}
  for _, letter in ipairs(NEWS_ORDER) do
    for _, item in ipairs(news[NEWS_KINDS[letter]]) do
      own[#own + 1] = letter .. item .. ';'
    end
  end
  if #own == 0 and room.news_waits == 0 then
    return
  end
  local told = table.concat(own)
  local since = now - room.news_at
  if not is_tick and since >= 0 and since < room.news_ms and room.state ~= 'off'
      and room.news_waits + #told <= NEWS_BYTES_MAX then
    if #own > 0 then
      redis.call('HSET', CONFIG, 'news_waits', redis.call('APPEND', NEWS, told))
    end
    return
  end
  if room.news_waits > 0 then
    told = (redis.call('GET', NEWS) or '') .. told
    redis.call('DEL', NEWS)
  end
  local by_kind = { c = {}, a = {}, w = {}, e = {} }
  for letter, item in string.gmatch(told, '(%a)([^;]+);') do
    table.insert(by_kind[letter], item)
  end
  local parts = {}
  for _, letter in ipairs(NEWS_ORDER) do
    if #by_kind[letter] > 0 then
      parts[#parts + 1] = ',"' .. NEWS_KINDS[letter] .. '":[' .. table.concat(by_kind[letter], ',') .. ']'
    end
  end
  redis.call('HSET', CONFIG, 'news_at', int(now), 'news_waits', '0')
  redis.call(ROOM_PUBLISH, string.format(ROOM_NEWS, EVENT), '{"event":' .. EVENT .. table.concat(parts) .. '}')
end

-- Every operation that changes something calls it last: it writes the pace, the histories and the moves, and
-- publishes the news. `is_tick`: it is the door's tick.
local function close(is_tick)
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
  publish_news(is_tick)
  if news.config then
    redis.call('PUBLISH', NEWS_CHANNEL, '{"event":' .. EVENT .. ',"config":' .. int(news.config) .. '}')
  end
end
