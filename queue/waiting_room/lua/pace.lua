-- pace.lua: count fans' commands at one event, each taken while its fan and its network keep to their pace; and say
-- whether each fan's proof to be a person stands. An allowance of a minute may be used at once, and comes back evenly
-- (GCRA). Who sent nothing for two minutes is forgotten.
-- KEYS  1 the paces that changed in this or another even minute, 2 in an odd one; then each command's fan's proof; all
--       of one event
-- ARGV  1 commands a minute of a fan, 2 of a network (0: any number each); then each command's fan and network
-- Returns for each command, in one list: 0 taken, 1 the fan is over the pace, 2 the network is; retry after ms; how
-- many more the fan has now; 1 if the proof stands. A command that is not taken is not counted.

local WINDOW_MS = 60000
local PER_MINUTE = { tonumber(ARGV[1]), tonumber(ARGV[2]) }

local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local minute = math.floor(now / WINDOW_MS)
local this, before = KEYS[minute % 2 + 1], KEYS[(minute + 1) % 2 + 1]

local names, is_named = {}, {}
for i = 3, #ARGV do
  if PER_MINUTE[(i + 1) % 2 + 1] > 0 and not is_named[ARGV[i]] then
    is_named[ARGV[i]] = true
    names[#names + 1] = ARGV[i]
  end
end

local function read(key, of_minute)
  local found = redis.call('HMGET', key, 'minute', unpack(names))
  return tonumber(found[1] or -1) == of_minute and found or {}
end

local paid = {} -- until when each has used the allowance
if #names > 0 then
  local latest, earlier = read(this, minute), read(before, minute - 1)
  if not latest[1] then
    redis.call('UNLINK', this)
  end
  for i, name in ipairs(names) do
    paid[name] = tonumber(latest[i + 1] or earlier[i + 1] or 0)
  end
end

local proofs = redis.call('MGET', unpack(KEYS, 3))
local answers, changed = {}, {}

local function count(fan, network)
  local after, left = {}, 0
  for i, name in ipairs({ fan, network }) do
    if PER_MINUTE[i] > 0 then
      local each = WINDOW_MS / PER_MINUTE[i]
      after[name] = math.max(paid[name], now) + each
      local over = after[name] - now - WINDOW_MS
      if over > 0.001 then
        return i, math.ceil(over), 0
      end
      if i == 1 then
        left = math.floor(-over / each + 0.001)
      end
    end
  end
  for name, until_ms in pairs(after) do
    paid[name], changed[name] = until_ms, true
  end
  return 0, 0, left
end

for i, proof in ipairs(proofs) do
  local over, retry_ms, left = count(ARGV[2 * i + 1], ARGV[2 * i + 2])
  for _, value in ipairs({ over, retry_ms, left, proof and 1 or 0 }) do
    answers[#answers + 1] = value
  end
end

local fields = { 'minute', minute }
for name in pairs(changed) do
  fields[#fields + 1] = name
  fields[#fields + 1] = string.format('%.3f', paid[name])
end
if #fields > 2 then
  redis.call('HSET', this, unpack(fields))
  redis.call('PEXPIRE', this, 2 * WINDOW_MS)
end
return answers
