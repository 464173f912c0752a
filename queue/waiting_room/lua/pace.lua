-- pace.lua: count fans' commands at one event, each taken while its fan and its network keep to their pace; and say
-- whether each fan's proof to be a person stands. An allowance of a minute may be used at once, and comes back evenly
-- (GCRA). Who sent nothing for two minutes is forgotten.
-- KEYS  1 the paces that changed in this or another even minute, 2 in an odd one; then each command's fan's proof; all
--       of one event
-- ARGV  1 commands a minute of a fan, 2 of a network (0: any number each); then each command's fan and network
-- Returns in one list, of each command that is not taken or whose proof stands: its number from 1; 0 taken, 1 the fan
-- is over the pace, 2 the network is; retry after ms; 1 if the proof stands. A command that is not taken is not counted.
-- Most are taken without a proof, and cost no answer.

local WINDOW_MS = 60000
local bounds = { tonumber(ARGV[1]), tonumber(ARGV[2]) }
local of_fan = bounds[1] > 0 and WINDOW_MS / bounds[1]
local of_network = bounds[2] > 0 and WINDOW_MS / bounds[2]

local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local minute = math.floor(now / WINDOW_MS)
local this, before = KEYS[minute % 2 + 1], KEYS[(minute + 1) % 2 + 1]
local is_begun = false -- something changed in this minute already

local names, paid = {}, {} -- until when each has used the allowance
for i = 3, #ARGV do
  local name = ARGV[i]
  if not paid[name] and (i % 2 == 1 and of_fan or i % 2 == 0 and of_network) then
    paid[name] = 0
    names[#names + 1] = name
  end
end

-- Gives the names that did not change in that minute.
local function read(key, of_minute, wanted)
  local found = redis.call('HMGET', key, 'minute', unpack(wanted))
  if tonumber(found[1] or -1) ~= of_minute then
    return wanted, false
  end
  local others = {}
  for i, name in ipairs(wanted) do
    local value = found[i + 1]
    if value then
      paid[name] = tonumber(value)
    else
      others[#others + 1] = name
    end
  end
  return others, true
end

if #names > 0 then
  local others
  others, is_begun = read(this, minute, names)
  if not is_begun then
    redis.call('UNLINK', this)
  end
  if #others > 0 then
    read(before, minute - 1, others)
  end
end

-- Gives until when the allowance is used with one more, and by how much that is too late.
local function after(name, each)
  local until_ms = math.max(paid[name], now) + each
  return until_ms, until_ms - now - WINDOW_MS
end

local proofs = redis.call('MGET', unpack(KEYS, 3))
local answers, changed = {}, {}
for i = 1, #proofs do
  local fan, network = ARGV[2 * i + 1], ARGV[2 * i + 2]
  local who, retry_ms = 0, 0
  local fan_until, network_until, over
  if of_fan then
    fan_until, over = after(fan, of_fan)
    if over > 0.001 then
      who, retry_ms = 1, math.ceil(over)
    end
  end
  if who == 0 and of_network then
    network_until, over = after(network, of_network)
    if over > 0.001 then
      who, retry_ms = 2, math.ceil(over)
    end
  end
  if who == 0 then
    if fan_until then
      paid[fan], changed[fan] = fan_until, true
    end
    if network_until then
      paid[network], changed[network] = network_until, true
    end
  end
  if who > 0 or proofs[i] then
    local at = #answers
    answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = i, who, retry_ms, proofs[i] and 1 or 0
  end
end

local fields = {}
for name in pairs(changed) do
  local at = #fields
  fields[at + 1], fields[at + 2] = name, string.format('%.3f', paid[name])
end
if #fields > 0 then
  redis.call('HSET', this, 'minute', minute, unpack(fields))
  if not is_begun then
    redis.call('PEXPIRE', this, 2 * WINDOW_MS)
  end
end
return answers
