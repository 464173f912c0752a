-- history.lua: what the operation notes of fans, for their receipts, and how it is written.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event; the rest is the operation's own

local HISTORY_ENTRY_BYTES_MIN = 19
local HISTORY_ENTRY_BYTES_MAX = 30

-- Each fan's notes of this operation; close() writes them, once. `place` is given where the note ends it. That a fan
-- joined is not noted, for the place tells it: the first note after it brings it along.
local noted, notes, noted_places = {}, {}, {}
local function note(fan, what, place)
  if not notes[fan] then
    noted[#noted + 1] = fan
    notes[fan] = ''
  end
  notes[fan] = notes[fan] .. what .. ':' .. int(now) .. ';'
  noted_places[fan] = place
end

local ENDINGS = {
  left = true, done = true, pass_over = true, unclaimed = true, absent = true, moved_away = true,
}

-- Appends to the fans' histories, each of which is bounded; admit.lua bounds how many there are, and for how long.
local function write_history()
  if #noted == 0 then
    return
  end
  local known = redis.call('HMGET', HISTORY, unpack(noted))
  local before = room.histories_before and redis.call('HMGET', HISTORY_BEFORE, unpack(noted)) or {}
  local places = redis.call('HMGET', PLACES, unpack(noted))
  local written = {}
  for i, fan in ipairs(noted) do
    local history = known[i] or before[i] or ''
    local place = noted_places[fan] or places[i]
    if place and (history == '' or
        ENDINGS[string.match(string.sub(history, -HISTORY_ENTRY_BYTES_MAX), '([%a_]+):%d+;$')]) then
      local joined_at = string.match(place, '^%d+:(%d+)')
      local where = room.draw_at_ms > tonumber(joined_at) and 'lobby' or 'joined'
      history = history .. where .. ':' .. joined_at .. ';'
    end
    history = history .. notes[fan]
    if #history > room.receipt_entries_max * HISTORY_ENTRY_BYTES_MIN then
      local _, entries = string.gsub(history, ';', '')
      for _ = room.receipt_entries_max + 1, entries do
        history = string.sub(history, string.find(history, ';', 1, true) + 1)
      end
    end
    written[2 * i - 1] = fan
    written[2 * i] = history
  end
  redis.call('HSET', HISTORY, unpack(written))
end
