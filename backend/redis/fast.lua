-- fast.lua serves the ask that nothing stands in the way of: one cost, nobody in
-- line, all buckets known as they are described, room in each, and no doubt about the
-- time. Whatever else
-- is left to what follows. Most calls end here, so that every instruction counts;
-- the arithmetic is that of core.lua and line.lua. The reply is what is written, of
-- each owner up to the last of its buckets that the ask draws from.
--
-- ARGV[1]  for each bucket the digest of its description, its capacity, the cost,
--          and the cost with the margin that must stay
if n > 8 * K.HEAD_DOUBLES and not fields[2] and now >= f[4] and now <= f[5] then
  local at, full, out, reply = K.HEAD_DOUBLES + 1, 0, {}, nil -- at: of the next bucket in f; 0 if there is no way
  for j = 1, owned do
    local state = fields[j + 2]
    if not state then
      at = 0
      break
    end
    local size = (#state - 8 * K.OWNER_DOUBLES) / (8 * K.BUCKET_DOUBLES)
    local format = size == 2 and '<dddddddddddddd' or '<dddd' .. rep('ddddd', size)
    local o, last = {numbers(format, state)}, K.OWNER_DOUBLES
    local dt = now - o[K.STAMP]
    if dt < 0 or o[K.PAUSED] > now or o[K.YOUNGEST] > f[6] then
      at = 0
      break
    end
    for i = K.OWNER_DOUBLES + 1, K.BUCKET_DOUBLES * size, K.BUCKET_DOUBLES do
      local rate = o[i + 1]
      local used = o[i + 2] - rate * dt
      if used < 0 then
        used, o[i + 4] = 0, o[i + 4] - used
      end
      if o[i] == f[at] then
        local cost = f[at + 2]
        if used > f[at + 1] then
          at = 0
          break
        end
        if cost ~= 0 then
          if f[at + 3] > f[at + 1] - used then
            at = 0
            break
          end
          used, o[i + 3] = used + cost, o[i + 3] + cost
        end
        at, last = at + K.FAST_DOUBLES, i + K.BUCKET_DOUBLES - 1
      end
      o[i + 2] = used
      if used > full * rate then
        full = used / rate
      end
    end
    o[K.STAMP] = now
    local head = pack(format, unpack(o))
    out[2 * j - 1], out[2 * j] = ARGV[4 + j], head
    if 8 * last < #head then
      head = string.sub(head, 1, 8 * last)
    end
    reply = reply and reply .. head or head
  end
  if at == #f and shown + full + K.SLACK <= expires then
    call('HSET', KEYS[1], unpack(out))
    return reply
  end
end
