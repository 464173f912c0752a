-- configure.lua: open a room, or change its configuration if the revision is newer. At the same revision only the
-- settings are taken.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 revision, 3 after_epoch (the last known; 0: never opened), 4 rebuild_ms,
--       5 the fields that the line's speed depends on, with spaces between,
--       then field, value, … of the configuration
-- Returns created | updated | kept; where a room that had been open is created, it is rebuilding for rebuild_ms

-- All but the times of the sale are the same for every room, and come from the settings of the gateway that began last:
-- no revision counts their changes. The times of the sale are among them for a room that a release without them has
-- configured.
local SETTINGS = {
  absence_seconds = true, connected_seconds = true, receipt_entries_max = true, receipt_fans_max = true,
  on_sale_at_ms = true, off_sale_at_ms = true, stock_factor = true, stock_spare = true, work_seconds = true,
  choose_seconds = true, idle_seconds = true, news_ms = true,
}
if room.state and tonumber(ARGV[2]) <= room.revision then
  for i = 6, tonumber(ARGV[2]) == room.revision and #ARGV or 0, 2 do
    if SETTINGS[ARGV[i]] then
      redis.call('HSET', CONFIG, ARGV[i], ARGV[i + 1])
    end
  end
  return 'kept'
end
local outcome = 'updated'
if not room.state then
  outcome = 'created'
  local after_epoch, rebuild_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
  local epoch = math.max(now_s, after_epoch + 1)
  redis.call('HSET', CONFIG, 'epoch', int(epoch), 'first_epoch', int(epoch), 'number', '0')
  if after_epoch > 0 and rebuild_ms > 0 then
    redis.call('HSET', CONFIG, 'rebuilt_at', int(now), 'rebuild_until', int(now + rebuild_ms),
      'ticked_at', int(now), 'resumed_at', int(now))
  end
end
-- After a change of one of these, how fast the line moved before is no guide to how fast it will move.
local paces = {}
for field in string.gmatch(ARGV[5], '%S+') do
  paces[field] = true
end
local paced_anew = outcome == 'created'
for i = 6, #ARGV, 2 do
  paced_anew = paced_anew or paces[ARGV[i]] and redis.call('HGET', CONFIG, ARGV[i]) ~= ARGV[i + 1]
end
if paced_anew then
  redis.call('HSET', CONFIG, 'paced_from', int(now_s))
end
redis.call('HSET', CONFIG, 'revision', ARGV[2], unpack(ARGV, 6))
news.config = tonumber(ARGV[2])
close()
return outcome
