-- core.lua knows owners and buckets. The arithmetic is internal/ledger's,
-- operation for operation, so that both give the same doubles.
--
-- ARGV[-1] numbers: four that differ by script; for each bucket, owner by owner,
--          its dimension, capacity, margin, and what is used of it if it is
--          unknown here; then what differs by script
--
-- An owner is unpacked into a flat array: the first three numbers of its state,
-- and six for each bucket: name, dimension, limit, rate, capacity, used.
local STAMP, SINCE, PAUSED, FIRST, SIZE = 1, 2, 3, 4, 6
local DIMENSION, LIMIT, RATE, CAPACITY, USED = 1, 2, 3, 4, 5 -- beside a bucket's place

-- doubles unpacks a string of them.
local function doubles(s)
  local t = {numbers('<' .. rep('d', #s / 8), s)}
  t[#t] = nil
  return t
end

local a = doubles(ARGV[#ARGV])
local HEAD, WIDTH = 4, 4

local function unpack_owner(packed)
  local d = doubles(packed)
  local o, n = {d[1], d[2], d[3]}, (#d - 3) / 6
  for i = 1, n do
    local from = 3 + n + 5 * (i - 1)
    for x = 1, 5 do
      o[#o + 1] = d[from + x]
    end
    o[#o + 1] = d[3 + i]
  end
  return o
end

local function pack_owner(o)
  local d = {o[1], o[2], o[3]}
  for i = FIRST + USED, #o, SIZE do
    d[#d + 1] = o[i]
  end
  for i = FIRST, #o, SIZE do
    for x = 0, 4 do
      d[#d + 1] = o[i + x]
    end
  end
  return pack('<' .. rep('d', #d), unpack(d))
end

-- refilled is when the last of its buckets is full and its pause over.
local function refilled(o)
  local at = o[PAUSED]
  for i = FIRST, #o, SIZE do
    local t = o[STAMP] + o[i + USED] / o[i + RATE]
    if t > at then
      at = t
    end
  end
  return at
end

-- open unpacks an owner and refills its buckets up to now. A clock that went
-- back refills nothing.
local function open(packed)
  if not packed then
    return {now, now, 0}
  end
  local o = unpack_owner(packed)
  local dt = now - o[STAMP]
  o[STAMP] = now
  if dt > 0 then
    for i = FIRST + USED, #o, SIZE do
      local used = o[i] - o[i - 2] * dt
      o[i] = used > 0 and used or 0
    end
  end
  return o
end

-- Owners that were touched, and where they are kept.
local owners, field = {}, {}

local function owner(j)
  local o = owners[j]
  if not o then
    o = open(fields[j + 2])
    owners[j], field[j] = o, ARGV[4 + j]
  end
  return o
end

-- The described buckets, by number: their owner and their place in it.
local count, holder, place = 0, {}, {}
for j = 1, owned do
  local described = ARGV[4 + owned + j]
  if #described > 0 then
    local o, d = owner(j), doubles(described)
    for x = 1, #d, 5 do
      count = count + 1
      local i, limit, capacity = FIRST, d[x + LIMIT], d[x + CAPACITY]
      while o[i] and o[i] ~= d[x] do
        i = i + SIZE
      end
      if not o[i] then
        o[i] = d[x]
        for y = 1, 4 do
          o[i + y] = 0
        end
        o[i + USED] = a[HEAD + count * WIDTH]
      end
      if limit ~= o[i + LIMIT] or capacity ~= o[i + CAPACITY] or d[x + DIMENSION] ~= o[i + DIMENSION] then
        for y = 1, 4 do
          o[i + y] = d[x + y]
        end
        if o[i + USED] > capacity + limit then
          o[i + USED] = capacity + limit
        end
      end
      holder[count], place[count] = o, i
    end
  end
end

-- sweep drops what idle owners and lines have left in a hash that others keep
-- alive. Owners have fields of twelve bytes, lines of thirteen.
local function sweep()
  if call('HLEN', KEYS[1]) <= 64 then
    return
  end
  local all, idle = call('HGETALL', KEYS[1]), {}
  for n = 1, #all, 2 do
    local f, v = all[n], all[n + 1]
    if #f == 12 then
      local o = unpack_owner(v)
      if refilled(o) + SLACK < now and o[STAMP] + SLACK < now then
        idle[#idle + 1] = f
      end
    elseif #f == 13 and select(2, numbers('<dd', v)) < now then
      idle[#idle + 1] = f
    end
  end
  for n = 1, #idle, 100 do
    call('HDEL', KEYS[1], unpack(idle, n, math.min(n + 99, #idle)))
  end
end

-- save writes the owners back, and what else belongs into the hash.
local function save(out)
  local full = now
  for j, o in pairs(owners) do
    local t = refilled(o)
    if t > full then
      full = t
    end
    out[#out + 1] = field[j]
    out[#out + 1] = pack_owner(o)
  end
  local renew = full + SLACK > expires
  if renew then
    expires = full + (full - now) / 8 + SLACK + STEP
    out[#out + 1] = 'm'
    out[#out + 1] = pack('<dd', f[1], expires)
  end
  if #out > 0 then
    call('HSET', KEYS[1], unpack(out))
  end
  if renew then
    call('PEXPIRE', KEYS[1], string.format('%.0f', (expires - now) / 1000))
    sweep()
  end
end
