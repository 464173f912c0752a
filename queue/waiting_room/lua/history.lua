-- history.lua: what befell a fan, as the scripts noted it.
-- KEYS  1 history, 2 history_before
-- ARGV  1 fan
-- Returns "what:at_ms;…", the oldest first, or an empty string

return redis.call('HGET', KEYS[1], ARGV[1]) or redis.call('HGET', KEYS[2], ARGV[1]) or ''
