-- configure.lua: open a room or change its configuration, if the revision is newer or nothing is there.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 revision, then field, value, … of the configuration
-- Returns created | updated | kept

if room.state and tonumber(ARGV[2]) <= room.revision then
  return 'kept'
end
local outcome = 'updated'
if not room.state then
  outcome = 'created'
  redis.call('HSET', CONFIG, 'epoch', int(now_s), 'number', '0')
end
-- How fast the line moved before is no guide to how fast it will under another configuration.
redis.call('HSET', CONFIG, 'revision', ARGV[2], 'paced_from', int(now_s), unpack(ARGV, 3))
news.config = tonumber(ARGV[2])
close()
return outcome
