-- Count in a lane's figures.
-- KEYS[1]              lane:{lane}:figures
-- ARGV[i], ARGV[i + 1] a field, and by how much it grows
for i = 1, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
