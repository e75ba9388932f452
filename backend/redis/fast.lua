-- fast.lua serves the ask that nothing stands in the way of: one cost, nobody in
-- line, all buckets known as they are described, and room in each. Whatever else
-- is left to what follows. Most calls end here, so that every instruction counts;
-- the arithmetic is that of core.lua and line.lua.
--
-- ARGV[1]  for each bucket its rate, its capacity, the cost, and the cost with
--          the margin that must stay
if n > 24 and not fields[2] then
  local stamp, full, out, levels = now, 0, {}, {}
  local at, bucket = 3, 0
  for j = 1, owned do
    local state, described = fields[j + 2], ARGV[4 + owned + j]
    if not state then
      out = nil
      break
    end
    local size, m = (#state - 24) / 48, #described / 40
    local tail = string.sub(state, 25 + 8 * size)
    if tail ~= described and (size <= m or string.sub(tail, 1, 40 * m) ~= described) then
      out = nil
      break
    end
    local format = size == 2 and '<ddddd' or '<ddd' .. rep('d', size)
    local o = {numbers(format, state)}
    local dt = now - o[1]
    if dt < 0 then
      dt = 0
    end
    if o[2] > stamp then
      stamp = o[2]
    end
    local room = o[3] <= now
    for i = 4, m + 3 do
      local rate, capacity = f[at + 1], f[at + 2]
      local used = o[i] - rate * dt
      if used < 0 then
        used = 0
      end
      local cost = f[at + 3]
      if cost ~= 0 and f[at + 4] > capacity - used then
        room = false
        break
      end
      used = used + cost
      o[i] = used
      bucket = bucket + 1
      levels[bucket] = capacity - used
      if used > full * rate then
        full = used / rate
      end
      at = at + 4
    end
    if not room then
      out = nil
      break
    end
    for i = m + 4, size + 3 do -- buckets that this ask does not draw from
      local rate = numbers('<d', tail, 40 * (i - 4) + 25)
      local used = o[i] - rate * dt
      if used < 0 then
        used = 0
      end
      o[i] = used
      if used > full * rate then
        full = used / rate
      end
    end
    o[1] = now
    out[2 * j - 1], out[2 * j] = ARGV[4 + j], pack(format, unpack(o)) .. tail
  end
  if out and now + full + SLACK <= expires then
    call('HSET', KEYS[1], unpack(out))
    if bucket == 2 then
      return pack('<dddddddd', 1, stamp, 0, 0, 0, 0, levels[1], levels[2])
    end
    return pack('<dddddd' .. rep('d', bucket), 1, stamp, 0, 0, 0, 0, unpack(levels))
  end
end
