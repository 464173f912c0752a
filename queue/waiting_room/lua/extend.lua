-- extend.lua: note that fans hold seats, and let live passes last longer; none is shortened, none that lapsed comes
-- back.
-- KEYS  1 admitted, 2 acted
-- ARGV  fans, then as many until_ms (at most operations.CHUNK fans)
-- Returns how many passes now end later

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local fans = #ARGV / 2
local pass_ends = redis.call('ZMSCORE', KEYS[1], unpack(ARGV, 1, fans))
local later, holding = {}, {}
for i, pass_end in ipairs(pass_ends) do
  local pass_until = tonumber(pass_end) or 0
  if pass_until > now then
    holding[#holding + 1] = ARGV[fans + i]
    holding[#holding + 1] = ARGV[i]
    if tonumber(ARGV[fans + i]) > pass_until then
      later[#later + 1] = ARGV[fans + i]
      later[#later + 1] = ARGV[i]
    end
  end
end
if #holding > 0 then
  redis.call('ZADD', KEYS[2], 'GT', unpack(holding))
end
if #later > 0 then
  redis.call('ZADD', KEYS[1], unpack(later))
end
return #later / 2
