-- Keep a batch's job records, one command for all: as a SET each they were a third of what a batch cost its client.
-- KEYS[i]     job:{command id}
-- ARGV[1]     how long they live, in seconds
-- ARGV[i + 1] the record of KEYS[i]
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1])
end
