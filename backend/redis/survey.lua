-- survey.lua looks at the tickets ahead of an ask. It is internal/ledger's survey.go,
-- operation for operation.
--
-- What this part offers to others:
local ahead = {} -- what those ahead may draw from each of the ask's buckets, if there are any
local survey     -- finds that out
local free       -- whether a bucket holds a cost beside it
local wait       -- how long until it does
do
  -- margin is what a start of this cost leaves in the bucket.
  local function margin(k, cost)
    local m, spare = a[K.OWN_DOUBLES + k * K.START_DOUBLES - 1], (holder[k][place[k] + K.CAPACITY] - cost) / 2
    if spare < 0 then
      spare = 0
    end
    return m < spare and m or spare
  end

  function free(k, cost)
    if cost == 0 then
      return true
    end
    local o, i = holder[k], place[k]
    local capacity, used, a = o[i + K.CAPACITY], o[i + K.USED], ahead[k]
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
  local function front(c, place)
    local tickets, over
    local upto = '(' .. (place and from(c.digest, place) or c.digest .. K.AFTER)
    repeat
      local members, ids = call('ZRANGEBYLEX', KEYS[2], '[' .. c.digest, upto, 'LIMIT', 0, K.HEADS), nil
      if #members == 0 then
        return {}, 0
      end
      ids, tickets = fetch(members)
      over = {}
      silent_among(ids, tickets, nil, over)
      step_over(over)
    until #over == 0
    local sums, n = {{0, 0, 0}}, before(c, place)
    for x = 1, #tickets do
      local s, requests, tokens, images = sums[x], numbers('<ddd', tickets[x], K.NEED)
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
    local d = {scope = scope, sums = sums, all = sums[#sums], tickets = n, starts = {}, paused = math.max(0, scope[K.PAUSED] - now)}
    for at = 13, #packed, 20 do
      local o = open_other(sub(packed, at, at + 11))
      local name = numbers('<d', packed, at + 12)
      for i = K.FIRST, #o, K.SIZE do
        if o[i + K.NAME] == name then
          d[#d + 1] = {o, i}
          d.paused = math.max(d.paused, o[K.PAUSED] - now)
        end
      end
    end
    return d, n
  end

  -- draws reports whether a demand needs something of a bucket.
  local function draws(d, o, i)
    for x = 1, #d do
      if d[x][1] == o and d[x][2] == i then
        return d.all[o[i + K.DIMENSION] + 1] ~= 0
      end
    end
  end

  -- schedule works out when the buckets but this one let the sums start: negative where
  -- they hold more. A single call starts on a full bucket at the latest.
  local never = -math.huge
  local function schedule(d, o, i)
    local sums, starts = d.sums, d.starts
    for x = 1, #sums do
      starts[x] = d.paused > 0 and d.paused or never
    end
    for y = 1, #d do
      local p, q = d[y][1], d[y][2]
      local dimension = p[q + K.DIMENSION] + 1
      if (p ~= o or q ~= i) and d.all[dimension] ~= 0 then
        local need, level = 0, p[q + K.CAPACITY] - p[q + K.USED]
        for x = 1, #sums do
          if x > 1 then
            local more = sums[x][dimension] - sums[x - 1][dimension]
            if sums[x][1] - sums[x - 1][1] <= 1 then
              more = math.min(more, p[q + K.CAPACITY])
            end
            need = need + more
          end
          starts[x] = math.max(starts[x], (need - level) / p[q + K.RATE])
        end
      end
    end
    for x = 1, #starts do
      if starts[x] == never then
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
    if d.starts[1] > K.SOON then
      return false
    elseif d.starts[2] <= K.SOON then
      return true
    end
    return d.sums[2][1] == 0 or by(d, K.SOON, 1) >= 1
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
              g.part = math.max(g.part, ratio(d, o[i + K.DIMENSION] + 1, p[q + K.DIMENSION] + 1))
              there = there + d.all[p[q + K.DIMENSION] + 1]
            end
          end
          if #g > 1 and g.part < math.huge then
            g.ends = (there - (p[q + K.CAPACITY] - p[q + K.USED])) / p[q + K.RATE]
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
    local most = math.max(0, (p[q + K.CAPACITY] - p[q + K.USED] + p[q + K.RATE] * at) * g.part)
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
    local a, demands, dimension = {at = {}, most = 0, tickets = 0}, {}, o[i + K.DIMENSION] + 1
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
        if d.scope == owner(1) or d.starts[2] <= K.SOON then
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
      local excess = drawn(demands, groups, at, dimension, before) - o[i + K.RATE] * at
      -- What refills while the bucket is full is lost to all: what is drawn after that
      -- does not depend on what is free now.
      local is = math.min(excess, low + o[i + K.CAPACITY])
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
  function survey(place_of_ask)
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
  function wait(cost, parts)
    local longest, pause = 1, owner(1)[K.PAUSED] - now
    if pause < 0 then
      pause = 0
    end
    for k = 1, count do
      local o, i = holder[k], place[k]
      if o[K.PAUSED] - now > pause then
        pause = o[K.PAUSED] - now
      end
      local c = cost[dimension[k]]
      if c ~= 0 then
        local left = o[i + K.CAPACITY] - o[i + K.USED] - c - margin(k, c)
        if c > o[i + K.CAPACITY] and not parts then
          left = -o[i + K.USED]
        end
        local t = ahead[k] and until_left(ahead[k], left, o[i + K.RATE]) or -left / o[i + K.RATE]
        if t > longest then
          longest = t
        end
      end
    end
    return pause > longest and pause or longest, pause
  end
end
