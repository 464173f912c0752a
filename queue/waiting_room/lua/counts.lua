-- counts.lua: the room in numbers.
-- KEYS  a room's keys (room.lua)
-- ARGV  1 event
-- Returns {ok, now_ms, waiting, away, called, admitted, config pairs, stock {free, held, version} or {}, pace buckets,
-- fans in the lobby, of those waiting the priority class's, slots in all, slots free, 1 if the stock bounds them, fans
-- at work},
-- or {unknown_room, 0}

if not room.state then
  return { 'unknown_room', 0 }
end
local priority = redis.call('ZCARD', PRIORITY)
local slots, is_stock_bound = slots_in_all()
local stock = redis.call('HMGET', STOCK, 'free', 'held', 'version')
return {
  'ok', now,
  redis.call('ZCARD', LINE) + priority, redis.call('ZCARD', AWAY) + redis.call('ZCARD', IDLE),
  redis.call('ZCARD', CALLED),
  redis.call('ZCOUNT', ADMITTED, '(' .. int(now), '+inf'),
  redis.call('HGETALL', CONFIG), stock[1] and stock or {}, redis.call('HVALS', PACE), redis.call('ZCARD', LOBBY),
  priority, slots, slots_free(slots, is_stock_bound), is_stock_bound and 1 or 0, at_work(),
}
