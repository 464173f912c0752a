-- departing.lua: some of the fans whose places ended and of whom Postgres does not know it yet.
-- KEYS  1 departing
-- ARGV  1 how many at most
-- Returns {fan, "state:score:at_ms", …}

return redis.call('HRANDFIELD', KEYS[1], ARGV[1], 'WITHVALUES')
