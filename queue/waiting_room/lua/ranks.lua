-- ranks.lua: what moved in the order of the lines since a mark, for a gateway that counts its fans' ranks itself; and the
-- ranks of fans of whom it knows none yet.
-- KEYS  1 line, 2 priority, 3 moves, 4 config
-- ARGV  1 generation of the room that the mark is of, 2 mark: how many bytes of moves are known, 3 the last of these
--       bytes (empty, 0 and empty without a mark), 4 fans to rank, with spaces between (at most operations.RANKS)
-- Returns {fans in line, those of the priority class among them, generation, mark of now, 1 if the moves since the given
-- mark follow or 0 if they are not known, these moves or the last bytes before the mark, then for each fan: rank or -1,
-- score; for a fan of the priority class -2 - rank}
-- The ranks are those after the moves that the reply tells.

local TAIL_BYTES = 64

local priority = redis.call('ZCARD', KEYS[2])
local room = redis.call('HMGET', KEYS[4], 'first_epoch', 'moves_from')
local generation, from = room[1] or '', tonumber(room[2]) or 0
local bytes = redis.call('STRLEN', KEYS[3])
local known, tail = tonumber(ARGV[2]) - from, ARGV[3]
local follows = generation == ARGV[1] and known >= #tail and known <= bytes
if follows and #tail > 0 then
  follows = redis.call('GETRANGE', KEYS[3], known - #tail, known - 1) == tail
end
local moves = ''
if not follows then
  moves = redis.call('GETRANGE', KEYS[3], -TAIL_BYTES, -1)
elseif known < bytes then
  moves = redis.call('GETRANGE', KEYS[3], known, -1)
end
local reply = {
  redis.call('ZCARD', KEYS[1]) + priority, priority, generation, from + bytes, follows and 1 or 0, moves,
}
for fan in string.gmatch(ARGV[4], '%d+') do
  local rank, score = redis.call('ZRANK', KEYS[1], fan), false
  if rank then
    score = redis.call('ZSCORE', KEYS[1], fan)
  elseif priority > 0 then
    rank = redis.call('ZRANK', KEYS[2], fan)
    score = rank and redis.call('ZSCORE', KEYS[2], fan)
    rank = rank and -2 - rank
  end
  reply[#reply + 1] = rank or -1
  reply[#reply + 1] = tonumber(score or 0)
end
return reply
