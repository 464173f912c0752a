-- extend.lua: note that fans hold seats, and let live passes last longer: for the first hold as long as that lasts, for
-- later ones up to the longest life of a pass. None is shortened, none that lapsed comes back.
-- KEYS  1 admitted, 2 acted, 3 places, 4 config
-- ARGV  fans, then as many until_ms (at most operations.CHUNK fans)
-- Returns how many passes now end later

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local fans = #ARGV / 2
local pass_ends = redis.call('ZMSCORE', KEYS[1], unpack(ARGV, 1, fans))
local places = redis.call('HMGET', KEYS[3], unpack(ARGV, 1, fans))
local dials = redis.call('HMGET', KEYS[4], 'pass_seconds', 'pass_life_seconds')
local pass_seconds, life_seconds = tonumber(dials[1]) or math.huge, tonumber(dials[2]) or 0
life_seconds = life_seconds > 0 and math.max(life_seconds, pass_seconds) or 2 * pass_seconds
local later, holding = {}, {}
for i, pass_end in ipairs(pass_ends) do
  local pass_until = tonumber(pass_end) or 0
  if pass_until > now then
    holding[#holding + 1] = ARGV[fans + i]
    holding[#holding + 1] = ARGV[i]
    local admitted_at = places[i] and tonumber(string.match(places[i], '^%d+:%d+:(%d+)')) or 0
    local until_ms = tonumber(ARGV[fans + i])
    if admitted_at > 0 and pass_until > admitted_at + pass_seconds * 1000 then
      until_ms = math.min(until_ms, admitted_at + life_seconds * 1000)
    end
    if until_ms > pass_until then
      later[#later + 1] = string.format('%.0f', until_ms)
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
