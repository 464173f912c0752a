-- Run commands one after another, and give the reply of the first.
-- ARGV  of each command: of how many words it is, and the words
-- It is for commands of RQ, whose keys no caller knows: the jobs' Redis is never a cluster.
local first
local at = 1
while ARGV[at] do
  local words = tonumber(ARGV[at])
  local reply = redis.call(unpack(ARGV, at + 1, at + words))
  if at == 1 then
    first = reply
  end
  at = at + words + 1
end
return first
