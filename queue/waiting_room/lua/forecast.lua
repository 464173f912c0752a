-- forecast.lua: replace the forecast that fans are shown, if the next one was made from it.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event, 2 at_ms and grade of the forecast now shown (0:0: none), 3 the same of the next, 4 the next as JSON
-- Returns 1 if the next forecast is shown from now on

if not room.state or (redis.call('HGET', CONFIG, 'told') or '0:0') ~= ARGV[2] then
  return 0
end
redis.call('HSET', CONFIG, 'told', ARGV[3], 'forecast', ARGV[4])
return 1
