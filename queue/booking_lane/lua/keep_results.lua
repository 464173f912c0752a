-- Write the records of finished jobs, and send each to the gateways that noted that they wait for it.
-- KEYS[i]     job:{command id}
-- ARGV[1]     how long they live, in seconds
-- ARGV[2]     the beginning of a gateway's channel of awaited jobs
-- ARGV[i + 2] the record of KEYS[i]
-- It reads awaited:{command id}, too: the jobs' Redis is never a cluster.
for i, key in ipairs(KEYS) do
  local record = ARGV[i + 2]
  redis.call('SET', key, record, 'EX', ARGV[1])
  local id = string.sub(key, 5)
  for _, gateway in ipairs(redis.call('SMEMBERS', 'awaited:' .. id)) do
    redis.call('PUBLISH', ARGV[2] .. gateway, id .. record)
  end
end
