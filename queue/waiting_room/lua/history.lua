-- history.lua: a fan's history, as the scripts noted it, and the place that the fan holds.
-- KEYS  1 history, 2 history_before, 3 places
-- ARGV  1 fan
-- Returns {"what:at_ms;…", the oldest first, or an empty string; the place as `places` keeps it, or
-- an empty string}

return {
  redis.call('HGET', KEYS[1], ARGV[1]) or redis.call('HGET', KEYS[2], ARGV[1]) or '',
  redis.call('HGET', KEYS[3], ARGV[1]) or '',
}
