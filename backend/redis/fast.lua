-- fast.lua serves the ask that nothing stands in the way of: one cost, nobody in
-- line, all buckets known as they are described, and room in each. Whatever else
-- is left to what follows. Most calls end here, so that every instruction counts;
-- the arithmetic is that of core.lua and line.lua. The reply is what is written, of
-- each owner up to the last of its buckets that the ask draws from.
--
-- ARGV[1]  for each bucket the digest of its description, its capacity, the cost,
--          and the cost with the margin that must stay
if n > 24 and not fields[2] then
  local at, full, out, reply = 4, 0, {}, nil -- at: of the next bucket in f; 0 if there is no way
  for j = 1, owned do
    local state = fields[j + 2]
    if not state then
      at = 0
      break
    end
    local size = (#state - 32) / 40
    local format = size == 2 and '<dddddddddddddd' or '<dddd' .. rep('ddddd', size)
    local o, last = {numbers(format, state)}, 4
    local dt = now - o[1]
    if dt < 0 or o[2] > now or o[3] > now then -- the clock was set back, or a pause
      at = 0
      break
    end
    for i = 5, 5 * size, 5 do
      local rate = o[i + 1]
      local used = o[i + 2] - rate * dt
      if used < 0 then
        used, o[i + 4] = 0, o[i + 4] - used
      end
      if o[i] == f[at] then
        local cost = f[at + 2]
        if cost ~= 0 then
          if f[at + 3] > f[at + 1] - used then
            at = 0
            break
          end
          used, o[i + 3] = used + cost, o[i + 3] + cost
        end
        at, last = at + 4, i + 4
      end
      o[i + 2] = used
      if used > full * rate then
        full = used / rate
      end
    end
    o[1] = now
    local head = pack(format, unpack(o))
    out[2 * j - 1], out[2 * j] = ARGV[4 + j], head
    if 8 * last < #head then
      head = string.sub(head, 1, 8 * last)
    end
    reply = reply and reply .. head or head
  end
  if at == #f and now + full + SLACK <= expires then
    call('HSET', KEYS[1], unpack(out))
    return reply
  end
end
