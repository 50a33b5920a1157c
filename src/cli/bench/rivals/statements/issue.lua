-- KEYS: stock, issues by member, log.  ARGV: account, task, time, command, body, initial stock, coupon, keep a log?
local had = redis.call('HGET', KEYS[2], ARGV[1])
if had then
    return {1, had}
end
if tonumber(redis.call('GET', KEYS[1]) or '0') <= 0 then
    return {2, ''}
end
local serial = ARGV[6] - redis.call('DECR', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], serial .. '|' .. ARGV[2] .. '|' .. ARGV[3] .. '|' .. ARGV[4] .. '|' .. ARGV[5])
if ARGV[8] == '1' then
    redis.call('XADD', KEYS[3], '*', 'kind', 'coupon.issued', 'stream', ARGV[7], 'principal', ARGV[1],
        'task', ARGV[2], 'at', ARGV[3], 'serial', serial)
end
return {0, serial}
