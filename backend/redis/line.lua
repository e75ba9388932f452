-- line.lua looks at the tickets ahead of an ask.
--
-- KEYS[2]  the line: a sorted set of tickets, in the order in which they came
-- KEYS[3]  the tickets: a hash. A ticket is when it last asked by the line's clock,
--          its number, what it needs in each dimension, and its place (doubles), a
--          digest of its buckets, and its last answer, of which the figures of the
--          buckets are kept only if it granted something. The buckets of a digest
--          stand in the same hash: the digest of the owner whose pauses hold, then
--          for each bucket its owner's and its name's.
-- KEYS[4]  the last answer to the ticket if it left nothing to wait for
-- KEYS[5]  those who have been stepped over, by when they last asked: so nobody
--          walks over them twice, however many processes have died
local LEASE, ERASE = 1000000, 10000000
local NEED, PLACE, DIGEST, ANSWER = 17, 41, 49, 53 -- where they begin in a ticket

-- The line's field in the account: the last place that was given away, when the
-- line's keys expire, the line's clock, which stands still while Redis's is set
-- back, and Redis's then, the place up to which patrol has come, whether somebody
-- has been stepped over, and how many digests of buckets stand among the tickets.
local last, expiry, clock, round, silent, digests = 0, 0, 0, 0, 0, 0
if fields[2] then
  local before
  last, expiry, clock, before, round, silent, digests = numbers('<ddddddd', fields[2])
  if now > before then
    clock = clock + (now - before)
  end
end

local function line_field()
  return pack('<ddddddd', last, expiry, clock, now, round, silent, digests)
end

-- keep writes the owners back, and the line's field.
local function keep()
  save(fields[2] and {ARGV[2], line_field()} or {})
end

-- renew has the line's keys live on.
local MINUTE = 60000
local function renew()
  expiry = now + MINUTE * 1000
  call('PEXPIRE', KEYS[2], MINUTE)
  call('PEXPIRE', KEYS[3], MINUTE)
  if silent == 1 then
    call('PEXPIRE', KEYS[5], MINUTE)
  end
end

-- exact writes a number as Redis reads it, to the last digit.
local function exact(n)
  return string.format('%.0f', n)
end

-- step_over takes silent tickets out of everybody's way: when they last asked, and
-- who they are, in turns.
local function step_over(over)
  for x = 1, #over, 2 do
    call('ZREM', KEYS[2], over[x + 1])
    call('ZADD', KEYS[5], over[x], over[x + 1])
  end
  if #over > 0 then
    silent = 1
    call('PEXPIRE', KEYS[5], MINUTE)
  end
end

-- patrol steps over the silent among the next few tickets, front first and round
-- again, and goes on while it finds some: surveys don't come to those who died
-- behind a ticket that waits for long. The ticket that asks is not one of them. It
-- returns how many there were.
local PATROLLED = 2
local function patrol()
  local found, all = 0, 0
  repeat
    found = 0
    local ids, over = call('ZRANGEBYSCORE', KEYS[2], '(' .. exact(round), '+inf', 'LIMIT', 0, PATROLLED), {}
    if #ids > 0 then
      local tickets = call('HMGET', KEYS[3], unpack(ids))
      for x = 1, #ids do
        local asked = numbers('<d', tickets[x])
        round = numbers('<d', tickets[x], PLACE)
        if ids[x] ~= ARGV[3] and clock - asked > LEASE then
          over[#over + 1], over[#over + 2] = asked, ids[x]
          found = found + 1
        end
      end
      step_over(over)
    end
    all = all + found
    if #ids < PATROLLED then
      round = 0
      return all
    end
  until found == 0
  return all
end

-- forget has the line begin anew.
local function forget()
  call('HDEL', KEYS[1], ARGV[2])
  call('DEL', KEYS[2], KEYS[3], KEYS[5])
  fields[2], last, expiry, clock, round, silent, digests = false, 0, 0, 0, 0, 0, 0
end

-- close forgets the line if nobody stands in it.
local function close()
  if fields[2] and call('EXISTS', KEYS[2]) == 0 and (silent == 0 or call('EXISTS', KEYS[5]) == 0) then
    forget()
  end
end

-- whole returns how many stand in the line, without the silent. Where one of the
-- line's keys was lost, or its field, nobody does: some would never be forgotten,
-- and those who are alive come anew.
local function whole()
  local standing = call('ZCARD', KEYS[2])
  local stepped = silent == 1 and call('ZCARD', KEYS[5]) or 0
  if standing + stepped + digests ~= call('HLEN', KEYS[3]) then
    forget()
    return 0
  end
  return standing
end

-- erase forgets those who were stepped over and have been silent for too long.
local function erase()
  if silent == 0 then
    return
  end
  local gone = call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. exact(clock - ERASE))
  for x = 1, #gone do
    call('ZREM', KEYS[5], gone[x])
    call('HDEL', KEYS[3], gone[x])
  end
  if call('EXISTS', KEYS[5]) == 0 then
    silent = 0
    close()
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

-- survey looks at the first n tickets of the line, front first, and returns how
-- many they are without the silent among them. Unless it must see all, it stops at
-- the one that leaves too little for the first cost.
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
    local ids = call('ZRANGE', KEYS[2], at, upto)
    if #ids == 0 then
      return at
    end
    local tickets, over = call('HMGET', KEYS[3], unpack(ids)), {}
    for x = 1, #ids do
      local t = tickets[x]
      local asked = numbers('<d', t)
      if clock - asked > LEASE then
        over[#over + 1], over[#over + 2] = asked, ids[x]
      else
        seen = seen + 1
        local need = {numbers('<ddd', t, NEED)}
        local s = scope(string.sub(t, DIGEST, DIGEST + 3))
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
            return n - #over / 2
          end
        end
      end
    end
    step_over(over)
    at, n = at + #ids - #over / 2, n - #over / 2
    chunk = 64
  end
  return n
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
