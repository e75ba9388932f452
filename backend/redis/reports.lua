-- reports.lua returns what processes say of themselves, and for each how long ago in
-- microseconds. KEYS and ARGV[1] are report.lua's.
local call, numbers = redis.call, struct.unpack
local now = numbers('<d', ARGV[1])
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local live = call('ZRANGEBYLEX', KEYS[2], '[' .. struct.pack('>d', now), '+', 'LIMIT', 0, K.REPORTS)
if #live == 0 then
  return {}
end
for i, m in ipairs(live) do
  live[i] = string.sub(m, 9)
end
local said, out = call('HMGET', KEYS[1], unpack(live)), {}
for _, s in ipairs(said) do
  local at = s and #s >= 16 and numbers('>d', s) or now + 1
  if at <= now then -- or Redis's clock has been set back since
    out[#out + 1], out[#out + 2] = now - at, string.sub(s, 17)
  end
end
return out
