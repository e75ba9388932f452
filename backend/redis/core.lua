-- core.lua knows owners and buckets. The arithmetic is internal/ledger's,
-- operation for operation, so that both give the same doubles.
--
-- ARGV[-2] for each bucket, owner by owner, the number of its owner, a digest of
--          its description, and that: name, dimension, limit, rate, capacity
-- ARGV[-1] numbers: five that differ by script; for each bucket what is used of it if
--          it is unknown here, its margin, and the stamp of the answer that the first
--          goes back to, or 0; then what differs by script
--
-- An owner is unpacked into a flat array: the first four numbers of its state,
-- and eleven for each bucket: its digest and description, used, charged, corrected, when
-- it began, and when its limit was lowered.
--
-- What this part offers to others:
local a           -- the numbers of ARGV[-1]
local owner       -- by its number in the ask, refilled up to now
local owners, field = {}, {} -- those that were touched, and where they are kept
local open        -- the same for a state that was read
local description -- the field of an owner's descriptions
local set         -- changes what is used of a bucket
local save        -- writes the owners back
local raised = false -- whether a bucket that was lost was corrected
local dirty = false -- whether more has changed, of them or of the line, than time has passed
-- The described buckets, by number: their owner, their place in it, and what they
-- count.
local count, holder, place, dimension = 0, {}, {}, {}
do
  -- doubles unpacks a string of them.
  local function doubles(s)
    local t = {numbers('<' .. rep('d', #s / 8), s)}
    t[#t] = nil
    return t
  end

  a = doubles(ARGV[#ARGV])

  local function unpack_owner(state, described)
    local s, d = doubles(state), doubles(described or '')
    local o = {s[1], s[2], s[3], s[4]}
    for i = 1, #d, K.DESCRIPTION_DOUBLES do
      local x, to = K.FIRST + K.BUCKET_DOUBLES * (i - 1) / K.DESCRIPTION_DOUBLES, #o
      o[to + 1], o[to + 1 + K.NAME], o[to + 1 + K.DIMENSION] = s[x], d[i], d[i + 1]
      o[to + 1 + K.LIMIT], o[to + 1 + K.RATE], o[to + 1 + K.CAPACITY] = d[i + 2], s[x + 1], d[i + 3]
      o[to + 1 + K.USED], o[to + 1 + K.CHARGED], o[to + 1 + K.CORRECTED] = s[x + 2], s[x + 3], s[x + 4]
      o[to + 1 + K.BORN], o[to + 1 + K.LOWERED] = d[i + 4], d[i + 5]
    end
    return o
  end

  local function pack_owner(o)
    local s, d = {o[1], o[2], o[3], o[4]}, {}
    for i = K.FIRST, #o, K.SIZE do
      local x = #s
      s[x + 1], s[x + 2], s[x + 3], s[x + 4], s[x + 5] = o[i], o[i + K.RATE], o[i + K.USED], o[i + K.CHARGED], o[i + K.CORRECTED]
      x = #d
      d[x + 1], d[x + 2], d[x + 3] = o[i + K.NAME], o[i + K.DIMENSION], o[i + K.LIMIT]
      d[x + 4], d[x + 5], d[x + 6] = o[i + K.CAPACITY], o[i + K.BORN], o[i + K.LOWERED]
    end
    return pack('<' .. rep('d', #s), unpack(s)), pack('<' .. rep('d', #d), unpack(d))
  end

  -- refilled is when the last of its buckets is full and its pause over.
  local function refilled(o)
    local at = o[K.PAUSED]
    for i = K.FIRST, #o, K.SIZE do
      local t = o[K.STAMP] + o[i + K.USED] / o[i + K.RATE]
      if t > at then
        at = t
      end
    end
    return at
  end

  -- set changes what is used of the bucket at i, within bounds. What they cut off
  -- counts as a correction.
  function set(o, i, used)
    local within, most = used, o[i + K.CAPACITY] + o[i + K.LIMIT]
    if within < 0 then
      within = 0
    end
    if within > most then
      most = math.max(most, o[i + K.USED])
      within = math.min(within, most)
    end
    o[i + K.USED], o[i + K.CORRECTED] = within, o[i + K.CORRECTED] + (within - used)
  end

  -- open unpacks an owner and refills its buckets up to now, if they have not been
  -- already.
  function open(state, described)
    if not state then
      return {now, now, 0, 0}
    end
    local o = unpack_owner(state, described)
    if not (o[K.STAMP] < K.LATEST and o[K.SINCE] < K.LATEST and o[K.PAUSED] < K.LATEST) then
      error('times')
    end
    local dt = now - o[K.STAMP]
    if dt > 0 then
      o[K.STAMP] = now
      for i = K.FIRST, #o, K.SIZE do
        set(o, i, o[i + K.USED] - o[i + K.RATE] * dt)
      end
    end
    return o
  end

  -- The field of an owner's descriptions.
  function description(field)
    return 'd' .. field
  end

  local described -- of the ask's owners

  function owner(j)
    local o = owners[j]
    if not o then
      if not described then
        described = {}
        for x = 1, owned do
          described[x] = description(ARGV[4 + x])
        end
        described = call('HMGET', KEYS[1], unpack(described))
      end
      o = open(fields[j + 2], described[j])
      dirty = dirty or not fields[j + 2]
      owners[j], field[j] = o, ARGV[4 + j]
    end
    return o
  end

  -- raise takes in a start if the bucket was lost after the answer that this goes back to.
  local function raise(o, i, start, stamp)
    local age = o[K.STAMP] - o[i + K.BORN]
    if start <= 0 or stamp == 0 or stamp >= o[i + K.BORN] or age >= K.YOUNG then
      return
    end
    local to, corrected = start + o[i + K.RATE] * age, o[i + K.CORRECTED]
    if corrected < to then
      raised, dirty, o[i + K.CORRECTED] = true, true, to
      set(o, i, o[i + K.USED] + (to - corrected))
    end
  end

  do
    local d = doubles(ARGV[#ARGV - 1])
    for x = 1, #d, K.DESCRIBE_DOUBLES do
      count = count + 1
      local o, i = owner(d[x]), K.FIRST
      while o[i] and o[i + K.NAME] ~= d[x + 2] do
        i = i + K.SIZE
      end
      local known, own = o[i], K.OWN_DOUBLES + count * K.START_DOUBLES
      if known then
        raise(o, i, a[own - 2], a[own])
      else
        o[i + K.USED], o[i + K.CHARGED], o[i + K.CORRECTED] = a[own - 2], 0, a[own - 2]
        o[i + K.BORN], o[K.YOUNGEST], o[i + K.LOWERED] = o[K.STAMP], o[K.STAMP], 0
      end
      if known ~= d[x + 1] or o[i + K.DIMENSION] ~= d[x + 1 + K.DIMENSION] or o[i + K.LIMIT] ~= d[x + 1 + K.LIMIT] or
        o[i + K.RATE] ~= d[x + 1 + K.RATE] or o[i + K.CAPACITY] ~= d[x + 1 + K.CAPACITY] then
        if known and d[x + 1 + K.LIMIT] + d[x + 1 + K.CAPACITY] < o[i + K.LIMIT] + o[i + K.CAPACITY] then
          o[i + K.LOWERED] = o[K.STAMP]
        end
        for y = 0, K.CAPACITY do
          o[i + y] = d[x + 1 + y]
        end
        o.described, dirty = true, true
      end
      local most = o[i + K.CAPACITY] + o[i + K.LIMIT]
      local ago = o[K.STAMP] - o[i + K.LOWERED]
      if o[i + K.USED] > most and not (ago >= 0 and ago < o[i + K.LIMIT] / o[i + K.RATE]) then
        o[i + K.CORRECTED], o[i + K.USED], dirty = o[i + K.CORRECTED] + (most - o[i + K.USED]), most, true
      end
      holder[count], place[count], dimension[count] = o, i, d[x + 3] + 1
    end
  end

  -- sweep drops what idle owners and lines have left in a hash that others keep
  -- alive. Owners have fields of twelve bytes; lines, and descriptions, of thirteen.
  local function sweep()
    if call('HLEN', KEYS[1]) <= K.CROWD then
      return
    end
    local all, values, idle = call('HGETALL', KEYS[1]), {}, {}
    for n = 1, #all, 2 do
      values[all[n]] = all[n + 1]
    end
    for f, v in pairs(values) do
      if #f == 12 then
        local o = unpack_owner(v, values[description(f)])
        if refilled(o) + K.SLACK < now and o[K.STAMP] + K.SLACK < now then
          idle[#idle + 1], idle[#idle + 2] = f, description(f)
        end
      elseif #f == 13 and string.sub(f, 1, 1) == 'l' and select(2, numbers('<dd', v)) < shown then
        idle[#idle + 1] = f
      end
    end
    for n = 1, #idle, 100 do
      call('HDEL', KEYS[1], unpack(idle, n, math.min(n + 99, #idle)))
    end
  end

  -- save writes the owners back, and what else belongs into the hash.
  function save(out)
    local full = now
    for j, o in pairs(owners) do
      local t = refilled(o)
      if t > full then
        full = t
      end
      local x, state, described = #out, pack_owner(o)
      out[x + 1], out[x + 2] = field[j], state
      if o.described then
        out[x + 3], out[x + 4] = description(field[j]), described
      end
    end
    local renew = full + offset + K.SLACK > expires
    if renew then
      expires = full + offset + (full - now) / 8 + K.SLACK + K.STEP
    end
    if renew or stepped then
      out[#out + 1] = 'm'
      out[#out + 1] = pack('<dddd', f[1], expires, offset, born)
    end
    if #out > 0 then
      call('HSET', KEYS[1], unpack(out))
    end
    if renew then
      call('PEXPIRE', KEYS[1], string.format('%.0f', (expires - shown) / 1000))
      sweep()
    end
  end
end
