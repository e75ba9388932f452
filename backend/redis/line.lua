-- line.lua looks at the tickets ahead of an ask. It is internal/ledger's line.go and
-- survey.go, operation for operation.
--
-- KEYS[2]  the line: a sorted set of tickets, of score 0, each after the digest of
--          its class and its place, so that a class stands together, in the order in
--          which its tickets came
-- KEYS[3]  the tickets: a hash. A ticket is when it last asked by the line's clock,
--          its number, what it needs in each dimension, and its place (doubles), the
--          digest of its class, and its last answer, of which the figures of the
--          buckets are kept only if it granted something. The buckets of a class
--          stand in the same hash: the digest of the owner whose pauses hold, then
--          for each bucket its owner's and its name's.
-- KEYS[4]  the last answer to the ticket if it left nothing to wait for
-- KEYS[5]  those who have been stepped over, by when they last asked: so nobody
--          walks over them twice, however many processes have died
local LEASE, ERASE, SOON = 1000000, 10000000, 100000
local NEED, PLACE, DIGEST, ANSWER = 17, 41, 49, 53 -- where they begin in a ticket
local sub = string.sub

-- The line's field in the account: the last place that was given away, when the
-- line's keys expire, the line's clock, which stands still while Redis's is set
-- back, and Redis's then, whether somebody has been stepped over, and the place and
-- the class up to which patrol has come; then for each class its digest, how many
-- tickets it has, and what they need.
local last, expiry, clock, silent, round, patrolled = 0, 0, 0, 0, 0, ''
local classes = {}
if fields[2] then
  local state, before = fields[2], nil
  last, expiry, clock, before, silent, round = numbers('<dddddd', state)
  patrolled = sub(state, 49, 52)
  if now > before then
    clock = clock + (now - before)
  end
  for at = 53, #state, 36 do
    classes[#classes + 1] = {digest = sub(state, at, at + 3), numbers('<dddd', state, at + 4)}
  end
end

local function line_field()
  local state = {pack('<dddddd', last, expiry, clock, now, silent, round), #patrolled == 4 and patrolled or rep('\0', 4)}
  for x = 1, #classes do
    local c = classes[x]
    state[x + 2] = c.digest .. pack('<dddd', c[1], c[2], c[3], c[4])
  end
  return table.concat(state)
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

local function find(digest)
  for x = 1, #classes do
    if classes[x].digest == digest then
      return classes[x], x
    end
  end
end

-- from is what stands in the line right before a class's tickets from a place on; all
-- of the class are before its digest with AFTER.
local AFTER = '\255'
local function from(digest, place)
  return digest .. pack('>d', place)
end

-- count_in counts a ticket among its class, and out again where n is -1.
local function count_in(digest, n, need)
  local c, x = find(digest)
  if not c then
    c, x = {digest = digest, 0, 0, 0, 0}, #classes + 1
    classes[x] = c
    call('HSET', KEYS[3], digest, sub(ARGV[4], 5))
  end
  c[1] = c[1] + n
  for d = 1, 3 do
    c[d + 1] = c[d + 1] + n * need[d]
  end
  if c[1] == 0 then
    table.remove(classes, x)
    call('HDEL', KEYS[3], digest)
  end
end

-- enter puts a ticket into a class, where its place is, and exit takes it out.
local function enter(digest, place, id, need)
  count_in(digest, 1, need)
  call('ZADD', KEYS[2], 0, from(digest, place) .. id)
end

local function exit(digest, place, id, need)
  count_in(digest, -1, need)
  call('ZREM', KEYS[2], from(digest, place) .. id)
end

-- step_over takes silent tickets out of everybody's way: for each its id and itself,
-- in turns.
local function step_over(over)
  for x = 1, #over, 2 do
    local t = over[x + 1]
    call('ZADD', KEYS[5], numbers('<d', t), over[x])
    exit(sub(t, DIGEST, DIGEST + 3), numbers('<d', t, PLACE), over[x], {numbers('<ddd', t, NEED)})
  end
  if #over > 0 then
    silent = 1
    call('PEXPIRE', KEYS[5], MINUTE)
  end
end

-- fetch returns the ids of members of the line, and their tickets.
local function fetch(members)
  local ids = {}
  for x = 1, #members do
    ids[x] = sub(members[x], 13)
  end
  return ids, call('HMGET', KEYS[3], unpack(ids))
end

-- before is how many tickets of the class stand before the place, or in all.
local function before(c, place)
  return place and call('ZLEXCOUNT', KEYS[2], '[' .. c.digest, '(' .. from(c.digest, place)) or c[1]
end

-- patrol steps over the silent among the next few tickets, class by class and round
-- again, and goes on while it finds some: surveys don't come to those who died far
-- behind. The ticket that asks is not one of them.
local ROUNDS = 2
local function patrol()
  local over
  repeat
    local _, x = find(patrolled)
    local checked = 0
    over = {}
    if not x then
      x, round = 1, 0
    end
    while checked < ROUNDS and classes[x] do
      local digest = classes[x].digest
      local members = call('ZRANGEBYLEX', KEYS[2], '[' .. from(digest, round + 1), '(' .. digest .. AFTER, 'LIMIT', 0, ROUNDS - checked)
      if #members == 0 then
        x, round = x + 1, 0
      else
        patrolled, round, checked = digest, numbers('>d', members[#members], 5), checked + #members
        local ids, tickets = fetch(members)
        for y = 1, #ids do
          if ids[y] ~= ARGV[3] and clock - numbers('<d', tickets[y]) > LEASE then
            over[#over + 1], over[#over + 2] = ids[y], tickets[y]
          end
        end
      end
    end
    step_over(over)
    if checked < ROUNDS then
      patrolled, round = '', 0
      return
    end
  until #over == 0
end

-- forget has the line begin anew.
local function forget()
  call('HDEL', KEYS[1], ARGV[2])
  call('DEL', KEYS[2], KEYS[3], KEYS[5])
  fields[2], last, expiry, clock, silent, round, patrolled, classes = false, 0, 0, 0, 0, 0, '', {}
end

-- close forgets the line if nobody stands in it.
local function close()
  if fields[2] and #classes == 0 and (silent == 0 or call('EXISTS', KEYS[5]) == 0) then
    forget()
  end
end

-- whole forgets the line where one of its keys was lost, or its field: some would
-- never be forgotten, and those who are alive come anew.
local function whole()
  local standing, stepped = 0, silent == 1 and call('ZCARD', KEYS[5]) or 0
  for x = 1, #classes do
    standing = standing + classes[x][1]
  end
  if standing ~= call('ZCARD', KEYS[2]) or standing + stepped + #classes ~= call('HLEN', KEYS[3]) then
    forget()
  end
end

-- erase forgets those who were stepped over and have been silent for too long.
local function erase()
  if silent == 0 then
    return
  end
  local gone = call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. exact(clock - ERASE))
  for x = 1, #gone, 1000 do
    local some = {unpack(gone, x, math.min(x + 999, #gone))}
    call('ZREM', KEYS[5], unpack(some))
    call('HDEL', KEYS[3], unpack(some))
  end
  if call('EXISTS', KEYS[5]) == 0 then
    silent = 0
    close()
  end
end

-- What those ahead may draw from each of the ask's buckets, if there are any.
local ahead = {}

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
  local capacity, used, a = o[i + CAPACITY], o[i + USED], ahead[k]
  if cost > capacity then
    return used == 0 and not (a and a.ready)
  end
  return (a and a.most or 0) + cost + margin(k, cost) <= capacity - used
end

-- Other scopes' owners are opened and saved like our own.
local numbered, others = {}, owned
for j = 1, owned do
  numbered[ARGV[4 + j]] = j
end

local function open_other(digest)
  local j = numbered[digest]
  if not j then
    others = others + 1
    j = others
    numbered[digest] = j
    local found = call('HMGET', KEYS[1], digest, description(digest))
    owners[j], field[j] = open(found[1], found[2]), digest
  end
  return owner(j)
end

-- front adds up what the first tickets of a class before the place need, from one to
-- the next, and adds what those behind them do, each as much as the mean of their
-- class. It returns the sums and how many there are.
local HEADS = 4
local function front(c, place)
  local tickets, over
  local upto = '(' .. (place and from(c.digest, place) or c.digest .. AFTER)
  repeat
    local members, ids = call('ZRANGEBYLEX', KEYS[2], '[' .. c.digest, upto, 'LIMIT', 0, HEADS), nil
    if #members == 0 then
      return {}, 0
    end
    ids, tickets = fetch(members)
    over = {}
    for x = 1, #ids do
      if clock - numbers('<d', tickets[x]) > LEASE then
        over[#over + 1], over[#over + 2] = ids[x], tickets[x]
      end
    end
    step_over(over)
  until #over == 0
  local sums, n = {{0, 0, 0}}, before(c, place)
  for x = 1, #tickets do
    local s, requests, tokens, images = sums[x], numbers('<ddd', tickets[x], NEED)
    sums[x + 1] = {s[1] + requests, s[2] + tokens, s[3] + images}
  end
  if n > #tickets then
    local s, rest = sums[#sums], {}
    for d = 1, 3 do
      rest[d] = s[d] + (c[d + 1] - s[d]) * (n - #tickets) / (c[1] - #tickets)
    end
    sums[#sums + 1] = rest
  end
  return sums, n
end

-- demand is what the tickets of a class before the place need, from which buckets,
-- and for how long they are paused yet. It returns it, if there are any, and how many.
local function demand(c, place)
  local sums, n = front(c, place)
  if n == 0 then
    return nil, 0
  end
  local packed = c.digest == sub(ARGV[4], 1, 4) and sub(ARGV[4], 5) or call('HGET', KEYS[3], c.digest)
  local scope = open_other(sub(packed, 1, 12))
  local d = {scope = scope, sums = sums, all = sums[#sums], tickets = n, starts = {}, paused = math.max(0, scope[PAUSED] - now)}
  for at = 13, #packed, 20 do
    local o = open_other(sub(packed, at, at + 11))
    local name = numbers('<d', packed, at + 12)
    for i = FIRST, #o, SIZE do
      if o[i + NAME] == name then
        d[#d + 1] = {o, i}
        d.paused = math.max(d.paused, o[PAUSED] - now)
      end
    end
  end
  return d, n
end

-- draws reports whether a demand needs something of a bucket.
local function draws(d, o, i)
  for x = 1, #d do
    if d[x][1] == o and d[x][2] == i then
      return d.all[o[i + DIMENSION] + 1] ~= 0
    end
  end
end

-- schedule works out when the buckets but this one let the sums start: negative where
-- they hold more. A single call starts on a full bucket at the latest.
local NEVER = -math.huge
local function schedule(d, o, i)
  local sums, starts = d.sums, d.starts
  for x = 1, #sums do
    starts[x] = d.paused > 0 and d.paused or NEVER
  end
  for y = 1, #d do
    local p, q = d[y][1], d[y][2]
    local dimension = p[q + DIMENSION] + 1
    if (p ~= o or q ~= i) and d.all[dimension] ~= 0 then
      local need, level = 0, p[q + CAPACITY] - p[q + USED]
      for x = 1, #sums do
        if x > 1 then
          local more = sums[x][dimension] - sums[x - 1][dimension]
          if sums[x][1] - sums[x - 1][1] <= 1 then
            more = math.min(more, p[q + CAPACITY])
          end
          need = need + more
        end
        starts[x] = math.max(starts[x], (need - level) / p[q + RATE])
      end
    end
  end
  for x = 1, #starts do
    if starts[x] == NEVER then
      starts[x] = 0
    end
  end
end

-- by is how much of a dimension the demand has drawn by then.
local function by(d, at, dimension)
  local starts, sums = d.starts, d.sums
  local x = #starts
  while x > 0 and starts[x] > at do
    x = x - 1
  end
  if x == 0 then
    return 0
  elseif x == #starts then
    return sums[x][dimension]
  end
  local part = (at - starts[x]) / (starts[x + 1] - starts[x])
  return sums[x][dimension] + part * (sums[x + 1][dimension] - sums[x][dimension])
end

-- ready reports whether a call of the demand could start soon.
local function ready(d)
  if d.starts[1] > SOON then
    return false
  elseif d.starts[2] <= SOON then
    return true
  end
  return d.sums[2][1] == 0 or by(d, SOON, 1) >= 1
end

-- ratio is the most of one dimension that a ticket needs for a unit of another.
local function ratio(d, here, there)
  local most = 0
  for x = 2, #d.sums do
    local h, t = d.sums[x][here] - d.sums[x - 1][here], d.sums[x][there] - d.sums[x - 1][there]
    if h > 0 then
      most = math.max(most, t > 0 and h / t or math.huge)
    end
  end
  return most
end

-- groups_of finds the buckets but this one that several demands draw from: the bucket,
-- the demands, how much is drawn here for a unit there at most, and when it has let
-- all of them start.
local function groups_of(o, i, demands)
  local groups, known = {}, {}
  for x = 1, #demands > 1 and #demands or 0 do
    for y = 1, #demands[x] do
      local p, q = demands[x][y][1], demands[x][y][2]
      local seen = known[p] or {}
      known[p] = seen
      if (p ~= o or q ~= i) and not seen[q] and draws(demands[x], p, q) then
        seen[q] = true
        local g, there = {owner = p, place = q, part = 0}, 0
        for z = x, #demands do
          local d = demands[z]
          if draws(d, p, q) then
            g[#g + 1] = d
            g.part = math.max(g.part, ratio(d, o[i + DIMENSION] + 1, p[q + DIMENSION] + 1))
            there = there + d.all[p[q + DIMENSION] + 1]
          end
        end
        if #g > 1 and g.part < math.huge then
          g.ends = (there - (p[q + CAPACITY] - p[q + USED])) / p[q + RATE]
          groups[#groups + 1] = g
        end
      end
    end
  end
  return groups
end

-- bound cuts what a group has drawn by then to what its bucket lets it at most.
local function bound(g, at)
  local sum, p, q = 0, g.owner, g.place
  for x = 1, #g do
    sum = sum + g[x].drawn
  end
  local most = math.max(0, (p[q + CAPACITY] - p[q + USED] + p[q + RATE] * at) * g.part)
  if sum > most then
    for x = 1, #g do
      g[x].drawn = g[x].drawn * (most / sum)
    end
  end
end

-- drawn is what demands have drawn by a time, or, with before, right before pauses end
-- at it.
local function drawn(demands, groups, at, dimension, before)
  local sum = 0
  for x = 1, #demands do
    local d = demands[x]
    d.drawn = before and d.paused == at and 0 or by(d, at, dimension)
  end
  for x = 1, #groups do
    bound(groups[x], at)
  end
  for x = 1, #demands do
    sum = sum + demands[x].drawn
  end
  return sum
end

-- ahead_in works out what the demands may draw from a bucket: at each of some times,
-- by how much it exceeds the refill until then, as far as that depends on what is free
-- now.
local function ahead_in(o, i, all)
  local a, demands, dimension = {at = {}, most = 0, tickets = 0}, {}, o[i + DIMENSION] + 1
  local times, jumps = {0}, {}
  local function add(t)
    if t > 0 then
      times[#times + 1] = t
    end
  end
  for x = 1, #all do
    local d = all[x]
    if draws(d, o, i) then
      demands[#demands + 1] = d
      schedule(d, o, i)
      a.ready = a.ready or ready(d)
      for y = 1, #d.starts do
        add(d.starts[y])
      end
      if d.paused > 0 then
        jumps[d.paused] = true
      end
      if d.scope == owner(1) or d.starts[2] <= SOON then
        a.tickets = a.tickets + d.tickets
      end
    end
  end
  local groups = groups_of(o, i, demands)
  for x = 1, #groups do
    add(groups[x].ends)
  end
  table.sort(times)
  local low = 0 -- the lowest excess so far
  local function point(at, before)
    local excess = drawn(demands, groups, at, dimension, before) - o[i + RATE] * at
    -- What refills while the bucket is full is lost to all: what is drawn after that
    -- does not depend on what is free now.
    local is = math.min(excess, low + o[i + CAPACITY])
    a.at[#a.at + 1], a[#a + 1] = at, is
    a.most = math.max(a.most, is)
    low = math.min(low, excess)
  end
  for x = 1, #times do
    if jumps[times[x]] then
      point(times[x], true) -- what is drawn jumps here
    end
    point(times[x], false)
  end
  return a
end

-- survey finds out what those before the place may draw from each of the ask's
-- buckets, or all, and returns how many they are. What those ahead could draw must not
-- be missing when they can start, and nothing else is withheld: a ticket that is held
-- back elsewhere draws when its other buckets let it start, and until then this one
-- refills.
local function survey(place_of_ask)
  local demands, tickets, list = {}, 0, {unpack(classes)}
  for x = 1, #list do
    local d, n = demand(list[x], place_of_ask)
    demands[#demands + 1] = d
    tickets = tickets + n
  end
  for k = 1, #demands > 0 and count or 0 do
    ahead[k] = ahead_in(holder[k], place[k], demands)
  end
  return tickets
end

-- until_left is when those ahead leave so much for good.
local function until_left(a, left, rate)
  local x = #a.at
  if a[x] > left then
    return a.at[x] + (a[x] - left) / rate
  end
  while x > 1 and a[x - 1] <= left do
    x = x - 1
  end
  if x == 1 then
    return 0
  end
  local fall = (a[x - 1] - left) / (a[x - 1] - a[x])
  return a.at[x - 1] + fall * (a.at[x] - a.at[x - 1])
end

-- wait is how long until the cost fits, and the part of it that is a pause; in
-- parts if it is the sum of several.
local function wait(cost, parts)
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
      local left = o[i + CAPACITY] - o[i + USED] - c - margin(k, c)
      if c > o[i + CAPACITY] and not parts then
        left = -o[i + USED]
      end
      local t = ahead[k] and until_left(ahead[k], left, o[i + RATE]) or -left / o[i + RATE]
      if t > longest then
        longest = t
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
