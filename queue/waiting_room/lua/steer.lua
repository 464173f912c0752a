-- steer.lua: put the autopilot's next steering in force, unless another came between it and the one it was made from.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 when the last steering was taken (ms; 0: none), 3 rate per minute, 4 the steering as JSON
-- Returns 1 if it was taken

if not room.state or tonumber(redis.call('HGET', CONFIG, 'steered_at') or '0') ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', CONFIG, 'steered_at', int(now), 'steered_rate', ARGV[3], 'steered', ARGV[4])
return 1
