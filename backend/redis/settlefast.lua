-- settlefast.lua settles where nothing stands in the way: no pause, all buckets known as
-- they are described, and no doubt about the time. Whatever else is left to what
-- follows. Nearly all settlements end here, so that every instruction counts; the
-- arithmetic is that of core.lua and settle.lua.
--
-- ARGV[1]  after the head: how many settlements there are, how many numbers each of them
--          has, for how many buckets, 1 if they correct, and a pause; for each bucket the
--          digest of its description, and the most that may be used of it; then for each
--          settlement, in the order in which they came, the stamp of its grant, for each
--          bucket the refund, and if they correct, for each bucket from where to where.
--          What a settlement has beyond that is passed over
if f[K.HEAD_DOUBLES + 5] == 0 and now >= f[4] and now <= f[5] then
  local buckets = f[K.HEAD_DOUBLES + 3]
  local width, corrects = f[K.HEAD_DOUBLES + 2], f[K.HEAD_DOUBLES + 4] == 1
  local at, k, full, out = K.HEAD_DOUBLES + K.SETTLE_DOUBLES + 1, 0, 0, {} -- at: of the next bucket in f; 0 if there is no way
  local first = at + K.SETTLED_DOUBLES * buckets -- of the settlements in f
  local last = first + (f[K.HEAD_DOUBLES + 1] - 1) * width
  for j = 1, owned do
    local state = fields[j + 2]
    if not state then
      at = 0
      break
    end
    local size = (#state - 8 * K.OWNER_DOUBLES) / (8 * K.BUCKET_DOUBLES)
    local format = size == 2 and '<dddddddddddddd' or '<dddd' .. rep('ddddd', size)
    local o = {numbers(format, state)}
    local dt, since = now - o[K.STAMP], o[K.SINCE]
    if dt < 0 or o[K.YOUNGEST] > f[6] then
      at = 0
      break
    end
    for i = K.OWNER_DOUBLES + 1, K.BUCKET_DOUBLES * size, K.BUCKET_DOUBLES do
      local rate, corrected = o[i + 1], o[i + 4]
      local used = o[i + 2] - rate * dt
      if used < 0 then
        used, corrected = 0, corrected - used
      end
      if o[i] == f[at] then
        local most = f[at + 1]
        at, k = at + K.SETTLED_DOUBLES, k + 1
        if used > most then -- the limit was lowered
          at = 0
          break
        end
        for r = first, last, width do
          if f[r] >= since then
            local is = used - f[r + k]
            used = is
            if is < 0 then
              used = 0
            elseif is > most then
              used = most
            end
            corrected = corrected + (used - is)
            if corrects then
              local from, to = f[r + buckets + 2 * k - 1], f[r + buckets + 2 * k]
              if to > from and corrected < to or to <= from and corrected == from then
                is = used + (to - corrected)
                used = is
                if is < 0 then
                  used = 0
                elseif is > most then
                  used = most
                end
                corrected = to + (used - is)
              end
            end
          end
        end
      end
      o[i + 2], o[i + 4] = used, corrected
      if used > full * rate then
        full = used / rate
      end
    end
    o[K.STAMP] = now
    out[2 * j - 1], out[2 * j] = ARGV[4 + j], pack(format, unpack(o))
  end
  if at == first and shown + full + K.SLACK <= expires then
    call('HSET', KEYS[1], unpack(out))
    return 1
  end
end
