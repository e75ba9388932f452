-- report.lua stores what a process says of itself, and forgets a few of those who say
-- nothing any more.
--
-- KEYS[1]  hash: by process when it has said it and until when that holds, as doubles,
--          and what
-- KEYS[2]  sorted set: until when that of each process holds, and the process
-- ARGV[1]  numbers, packed as doubles: now (0: Redis's clock), and for how long it holds
-- ARGV[2]  the process
-- ARGV[3]  what it says; '' for nothing any more
local call, pack, sub = redis.call, struct.pack, string.sub
local now, ttl = struct.unpack('<dd', ARGV[1])
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

-- forget takes a process out.
local function forget(m)
  call('ZREM', KEYS[2], m)
  call('HDEL', KEYS[1], sub(m, 9))
end

local was = call('HGET', KEYS[1], ARGV[2])
if was then
  forget(sub(was, 9, 16) .. ARGV[2])
end
local expires = pack('>d', now + ttl)
if ARGV[3] ~= '' then
  call('HSET', KEYS[1], ARGV[2], pack('>d', now) .. expires .. ARGV[3])
  call('ZADD', KEYS[2], 0, expires .. ARGV[2])
end
for _, m in ipairs(call('ZRANGEBYLEX', KEYS[2], '-', '(' .. pack('>d', now), 'LIMIT', 0, K.PATROL)) do
  if sub(m, 9) ~= ARGV[2] then
    forget(m)
  elseif m ~= expires .. ARGV[2] then
    call('ZREM', KEYS[2], m) -- what it has said just now stays
  end
end
call('PEXPIRE', KEYS[1], K.REPORTS_ASLEEP)
call('PEXPIRE', KEYS[2], K.REPORTS_ASLEEP)
return ''
