-- KEYS: holds of the performance by seat, orders, deadlines, log.
-- ARGV: order, the order's row, deadline, account, time, performance, keep a log?, seats …
local had = redis.call('HGET', KEYS[2], ARGV[1])
if had then
    return {1, had}
end
local holds = redis.call('HMGET', KEYS[1], unpack(ARGV, 8))
local taken = {}
for i = 1, #holds do
    if holds[i] then
        taken[#taken + 1] = ARGV[7 + i]
    end
end
if #taken > 0 then
    return {2, table.concat(taken, '|')}
end
local set = {}
for i = 8, #ARGV do
    set[#set + 1] = ARGV[i]
    set[#set + 1] = ARGV[1]
end
redis.call('HSET', KEYS[1], unpack(set))
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
if ARGV[7] == '1' then
    for i = 8, #ARGV do
        redis.call('XADD', KEYS[4], '*', 'kind', 'seat.held', 'stream', ARGV[6] .. '/' .. ARGV[i],
            'principal', ARGV[4], 'at', ARGV[5], 'order', ARGV[1])
    end
    redis.call('XADD', KEYS[4], '*', 'kind', 'order.placed', 'stream', ARGV[1], 'principal', ARGV[4],
        'at', ARGV[5])
end
return {0, ''}
