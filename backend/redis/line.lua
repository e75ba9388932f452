-- line.lua looks at the tickets ahead of an ask.
--
-- KEYS[2]  the line: a sorted set of tickets, in the order in which they came
-- KEYS[3]  the tickets: a hash. A ticket is when it last asked and its number
--          (doubles), what it needs in each dimension (doubles), a digest of its
--          buckets, and its last answer, of which the figures of the buckets are
--          kept only if it granted something. The buckets of a digest stand in
--          the same hash: the digest of the owner whose pauses hold, then for
--          each bucket its owner's and its name's.
-- KEYS[4]  the last answer to the ticket if it left nothing to wait for
-- KEYS[5]  those who have been stepped over, with their places in the line: so
--          nobody walks over them twice, however many processes have died
local LEASE, ERASE = 1000000, 10000000

-- The line's field in the account: the last place that was given away, when the
-- line's keys expire, and whether somebody has been stepped over.
local last, expiry, silent = 0, 0, 0
if fields[2] then
  last, expiry, silent = numbers('<ddd', fields[2])
end

-- erase forgets those at the front who have been silent for long, and those
-- whose other half was lost.
local function erase()
  while true do
    local key, front = KEYS[2], call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if silent == 1 then
      local other = call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
      if not other[1] then
        silent = 0
      elseif not front[1] or tonumber(other[2]) < tonumber(front[2]) then
        key, front = KEYS[5], other
      end
    end
    if not front[1] then
      expiry = 0
      if fields[2] then
        call('HDEL', KEYS[1], ARGV[2])
        fields[2] = false
      end
      return
    end
    if not fields[2] then -- it was lost
      last = tonumber(call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
      fields[2] = true
    end
    local t = call('HGET', KEYS[3], front[1])
    if t and now - numbers('<d', t) <= ERASE then
      return
    end
    call('ZREM', key, front[1])
    call('HDEL', KEYS[3], front[1])
  end
end

-- step_over takes silent tickets out of everybody's way.
local function step_over(places)
  if #places == 0 then
    return
  end
  for x = 1, #places, 2 do
    call('ZREM', KEYS[2], places[x + 1])
  end
  call('ZADD', KEYS[5], unpack(places))
  call('PEXPIRE', KEYS[5], 60000)
  if silent == 0 then
    silent = 1
    call('HSET', KEYS[1], ARGV[2], pack('<ddd', last, expiry, silent))
  end
end

-- What the tickets ahead of this ask set aside and need in each of its buckets,
-- what of that stands in the way, and how many were looked at to find out.
local aside, waiting, seen = {}, {}, 0

-- margin is what a start of this cost leaves in the bucket.
local function margin(k, cost)
  local m, spare = a[HEAD + k * WIDTH - 1], (holder[k][place[k] + CAPACITY] - cost) / 2
  if spare < 0 then
    spare = 0
  end
  return m < spare and m or spare
end

local function free(k, cost)
  if cost == 0 then
    return true
  end
  local o, i = holder[k], place[k]
  local capacity, used, ahead = o[i + CAPACITY], o[i + USED], aside[k] or 0
  if cost > capacity then
    return used == 0 and ahead <= 0
  end
  return ahead + cost + margin(k, cost) <= capacity - used
end

-- survey looks at the first n tickets of the line, front first. Unless it must
-- see all, it stops at the one that leaves too little for the first cost.
local function survey(n, first, all)
  -- By digest: the owner whose pauses hold, and owner and place of each bucket.
  local known, numbered = {}, {}
  for j = 1, owned do
    numbered[ARGV[4 + j]] = j
  end
  local others = owned

  local function open_other(digest)
    local j = numbered[digest]
    if not j then
      -- Another scope's owner: it is opened and saved like our own.
      others = others + 1
      j = others
      numbered[digest] = j
      local found = call('HMGET', KEYS[1], digest, description(digest))
      owners[j], field[j] = open(found[1], found[2]), digest
    end
    return owner(j)
  end

  local function scope(digest)
    local s = known[digest]
    if s then
      return s
    end
    s = {buckets = {}}
    known[digest] = s
    local packed = digest == string.sub(ARGV[4], 1, 4) and string.sub(ARGV[4], 5)
      or call('HGET', KEYS[3], digest) or ''
    if #packed < 12 then
      return s -- lost: it holds nobody up
    end
    s.owner = open_other(string.sub(packed, 1, 12))
    for at = 13, #packed, 20 do
      local o = open_other(string.sub(packed, at, at + 11))
      local name = numbers('<d', packed, at + 12)
      for i = FIRST, #o, SIZE do
        if o[i + NAME] == name then
          o.cum, o.drawn, o.aside = o.cum or {}, o.drawn or {}, o.aside or {}
          o.cum[i], o.drawn[i], o.aside[i] = o.cum[i] or 0, o.drawn[i] or 0, o.aside[i] or 0
          s.buckets[#s.buckets + 1] = {o, i}
        end
      end
    end
    return s
  end

  -- In each of its buckets must stay what the tickets so far could draw now, and
  -- what they will lack when the other buckets let this one start.
  local function set_aside(s, need)
    local paused = s.owner[PAUSED] - now
    if paused < 0 then
      paused = 0
    end
    for _, b in ipairs(s.buckets) do
      local p = b[1][PAUSED] - now
      if p > paused then
        paused = p
      end
    end
    for x, b in ipairs(s.buckets) do
      local o, i = b[1], b[2]
      local want = need[o[i + DIMENSION] + 1]
      if want ~= 0 then
        local share, later = 1, paused
        if paused > 0 then
          share = 0
        end
        for y, c in ipairs(s.buckets) do
          local p, q = c[1], c[2]
          local other = need[p[q + DIMENSION] + 1]
          if x ~= y and other ~= 0 then
            local left = p[q + CAPACITY] - p[q + USED] - p.cum[q]
            local part = left / other
            if part < 0 then
              part = 0
            end
            if part < share then
              share = part
            end
            local t = (other - left) / p[q + RATE]
            if t > later then
              later = t
            end
          end
        end
        o.drawn[i] = o.drawn[i] + share * want
        local lack = o.cum[i] + want - o[i + RATE] * later
        if o.drawn[i] > o.aside[i] then
          o.aside[i] = o.drawn[i]
        end
        if lack > o.aside[i] then
          o.aside[i] = lack
        end
      end
    end
    for _, b in ipairs(s.buckets) do
      local o, i = b[1], b[2]
      o.cum[i] = o.cum[i] + need[o[i + DIMENSION] + 1]
    end
  end

  local chunk = 4 -- most surveys end at the first ticket
  local at = 0
  while at < n do
    local upto = at + chunk - 1
    if upto >= n then
      upto = n - 1
    end
    local found, ids = call('ZRANGE', KEYS[2], at, upto, 'WITHSCORES'), {}
    for x = 1, #found, 2 do
      ids[#ids + 1] = found[x]
    end
    if #ids == 0 then
      return
    end
    local tickets, over = call('HMGET', KEYS[3], unpack(ids)), {}
    for x = 1, #ids do
      local t = tickets[x]
      seen = seen + 1
      if not t or now - numbers('<d', t) > LEASE then
        over[#over + 1], over[#over + 2] = found[2 * x], ids[x]
      else
        local need = {numbers('<ddd', t, 17)}
        local s = scope(string.sub(t, 41, 44))
        if s.owner then
          set_aside(s, need)
          local blocked = false
          for k = 1, count do
            local o, i = holder[k], place[k]
            if o.aside then
              aside[k] = o.aside[i]
            end
            if (aside[k] or 0) > 0 and not free(k, first[dimension[k]]) then
              waiting[k] = o.cum[i]
              blocked = true
            end
          end
          if blocked and not all then
            step_over(over)
            return
          end
        end
      end
    end
    step_over(over)
    at, n = at + #ids - #over / 2, n - #over / 2
    chunk = 64
  end
end

-- wait is how long until the cost fits, and the part of it that is a pause; in
-- parts if it is the sum of several. behind is how many tickets that were not
-- looked at are expected to need as much as those that were.
local function wait(cost, parts, behind)
  local longest, pause = 1, owner(1)[PAUSED] - now
  if pause < 0 then
    pause = 0
  end
  for k = 1, count do
    local o, i = holder[k], place[k]
    if o[PAUSED] - now > pause then
      pause = o[PAUSED] - now
    end
    local c = cost[dimension[k]]
    if c ~= 0 then
      local ahead = aside[k] or 0
      if waiting[k] and waiting[k] > ahead then
        ahead = waiting[k]
      end
      if behind > 0 and waiting[k] then
        ahead = ahead + waiting[k] / seen * behind
      end
      local lack
      if c > o[i + CAPACITY] and not parts then
        lack = ahead + o[i + USED]
      else
        lack = ahead + c + margin(k, c) - (o[i + CAPACITY] - o[i + USED])
      end
      if lack / o[i + RATE] > longest then
        longest = lack / o[i + RATE]
      end
    end
  end
  return pause > longest and pause or longest, pause
end

local function costs(from, upto)
  local total = {0, 0, 0}
  for x = from, upto do
    local at = HEAD + count * WIDTH + (x - 1) * 3
    for d = 1, 3 do
      total[d] = total[d] + a[at + d]
    end
  end
  return total
end

-- An answer is doubles: granted, stamp, wait, pause, hint, tickets ahead; and the
-- figures: for each bucket what is used of it, charged and corrected. The dot tells
-- it from a reply of fast.lua.
local function told(granted, stamp, wait, pause, hint, tickets)
  return pack('<dddddd', granted, stamp, wait, pause, hint, tickets)
end

local function figures()
  local r = {}
  for k = 1, count do
    local o, i, x = holder[k], place[k], #r
    r[x + 1], r[x + 2], r[x + 3] = o[i + USED], o[i + CHARGED], o[i + CORRECTED]
  end
  return pack('<' .. rep('d', #r), unpack(r)) .. '.'
end
