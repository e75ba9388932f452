-- survey.lua finds who stands before an ask at each node on its path, and what is set
-- aside for them. It is internal/ledger's survey.go, operation for operation.
--
-- What this part offers to others:
local tickets = 0 -- before the cost that comes next
local aside = {}  -- for them, of each of the ask's buckets
local survey      -- looks at the first few of each node
local come        -- works out what comes before a cost
local free        -- whether a bucket holds a cost beside it
local fits        -- whether all of them do
local wait        -- how long until they do
local settle_in   -- takes a ticket's nodes out of the way, or puts them back
do
  local levels, level_of = {}, {} -- and the number of each bucket's owner on the path
  for k = 1, count do
    aside[k] = 0
  end

  -- cut is what a start of this cost leaves in a bucket.
  local function cut(margin, capacity, cost)
    local spare = (capacity - cost) / 2
    if spare < 0 then
      spare = 0
    end
    return margin < spare and margin or spare
  end

  -- A ceiling lets a cost start while anything is left.
  local function ceiling(k)
    return holder[k][place[k] + K.NAME] < 0
  end

  local function margin(k, cost)
    return ceiling(k) and 0 or cut(a[K.OWN_DOUBLES + k * K.START_DOUBLES - 1], holder[k][place[k] + K.CAPACITY], cost)
  end

  local numbered = {} -- the ask's owners
  for j = 1, owned do
    numbered[ARGV[4 + j]] = j
  end

  -- Others' owners are looked at, and stay as they are: their states, and descriptions.
  local states, descriptions = {}, {}

  local function open_others(wanted)
    local found = call('HMGET', KEYS[1], unpack(wanted))
    for x = 1, #wanted, 2 do
      states[wanted[x]], descriptions[wanted[x]] = found[x], found[x + 1] or ''
    end
  end

  -- A shape is read as it stands, behind its first eight bytes.
  local function shape_at(digest)
    return digest == sub(ARGV[4], 1, 8) and ARGV[4] or get(digest)
  end

  -- want_one adds an owner that is not open yet.
  local function want_one(wanted, digest)
    if not numbered[digest] and states[digest] == nil then
      states[digest] = false
      local x = #wanted
      wanted[x + 1], wanted[x + 2] = digest, description(digest)
    end
  end

  -- want adds those on a path below another one, and that of ceilings.
  local function want(wanted, s, above)
    local digest, at, ceilings = sub(s, 9, 20), 21, ceilings_at(s)
    if ceilings <= #s then
      want_one(wanted, sub(s, ceilings, ceilings + 11))
    end
    while digest ~= above and digest ~= '' do
      want_one(wanted, digest)
      local last = digest
      while digest == last do
        digest, at = sub(s, at, at + 11), at + 20
      end
    end
  end

  -- bucket returns the dimension of an owner's bucket, its capacity, what will be used of
  -- it if nothing else happens, and its rate; or nothing.
  local function bucket(o, digest, dt, name)
    if o then
      for i = K.FIRST, #o, K.SIZE do
        if o[i + K.NAME] == name then
          return o[i + K.DIMENSION] + 1, o[i + K.CAPACITY], o[i + K.USED], o[i + K.RATE]
        end
      end
      return
    end
    local d, at = descriptions[digest], 8 * K.OWNER_DOUBLES + 9
    for x = 1, #d, 8 * K.DESCRIPTION_DOUBLES do
      local this, dimension, _, capacity = numbers('<dddd', d, x)
      if this == name then
        local rate, used = numbers('<dd', states[digest], at)
        used = used - rate * dt
        if used < 0 then
          used = 0
        end
        return dimension + 1, capacity, used, rate
      end
      at = at + 8 * K.BUCKET_DOUBLES
    end
  end

  -- held_by looks at the buckets of one owner that begin at a byte of a shape. It returns
  -- how long they hold a first cost back, the part of what is needed that they let start
  -- now, or what others do if that is less, and where the next owner's begin.
  local function held_by(digest, s, at, t, next, need, record, margins, part)
    local o, stamp, paused, _ = numbered[digest] and owner(numbered[digest]), now, now, nil
    if o then
      stamp, paused = o[K.STAMP], o[K.PAUSED]
    elseif states[digest] then
      stamp, _, paused = numbers('<ddd', states[digest])
    end
    local dt = now > stamp and now - stamp or 0
    local most = paused - stamp - dt
    while sub(s, at, at + 11) == digest do
      local name = numbers('<d', s, at + 12)
      local d, capacity, used, rate = bucket(o, digest, dt, name)
      local cost, all = d and t[next + d] or 0, d and need and t[need + d] or 0
      if cost ~= 0 then
        local t
        if name < 0 then
          t = (1 - (capacity - used)) / rate
        elseif cost > capacity then
          t = used / rate
        else
          local spare = numbers('<d', record, margins + (at - 21) / 20 * 8)
          t = (cost + cut(spare, capacity, cost) - (capacity - used)) / rate
        end
        if t > most then
          most = t
        end
      end
      if all > 0 then
        local level = capacity - used
        local this = level > 0 and level / all or 0
        if this < part then
          part = this
        end
      end
      at = at + 20
    end
    return most, part, at
  end

  -- held looks at the owners on a path below another one. If the buckets of one do not let
  -- a first cost start soon, it returns the owner and when they do; else nothing, and how
  -- much they let start now of what a node needs. The cost stands behind next in t, and the
  -- need behind need if there is one; the margins from a byte of a record on.
  local function held(s, above, t, next, need, record, margins)
    local part, digest, at, ceilings, wait = 1, sub(s, 9, 20), 21, ceilings_at(s), 0
    if ceilings <= #s and digest ~= above then -- they hold back as buckets of the first would
      wait, part = held_by(sub(s, ceilings, ceilings + 11), s, ceilings, t, next, need, record, margins, part)
    end
    while digest ~= above and digest ~= '' do
      local this
      this, part, at = held_by(digest, s, at, t, next, need, record, margins, part)
      wait = math.max(wait, this)
      if wait > K.SOON then
        return digest, now + wait
      end
      digest, wait = at < ceilings and sub(s, at, at + 11) or '', 0
    end
    return nil, part
  end

  -- A rival is tag, place, end; how much of what it needs its own buckets let start now,
  -- how many tickets; the first cost, and what it needs, in each dimension; its first
  -- ticket and that one's shape; the node, or false if it is a ticket; its member; which of
  -- the ask's buckets the ticket draws from; and its parts, unless it is a node and its first
  -- has one.
  local rivals_of, draws = {}, {}
  local reordered = false -- since all was read

  local function drawn_by(digest)
    local d = draws[digest]
    if not d then
      local s = shape_at(digest)
      d = {}
      for at = 21, #s, 20 do
        d[#d + 1] = own_bucket(sub(s, at, at + 19))
      end
      draws[digest] = d
    end
    return d
  end

  -- rival returns the one of a member, or false for the ask's own.
  local function rival(m, i)
    local r = rivals_of[m]
    if r == nil then
      local below, id = #m > 49 and sub(m, 50), sub(m, 30, 41)
      if below and below == ARGV[3 + i] or not below and id == ARGV[3] then
        r = false
      else
        local tag, p = numbers('>dd', m, 14)
        r = {tag, p, 0, 1, 1, 0, 0, 0, 0, 0, 0, id, sub(m, 42, 49), below, m, false, false}
      end
      rivals_of[m] = r
    end
    return r
  end

  -- own_place is where that stands in the order.
  local function own_place(level)
    local self = level.self and (level.self.at or level.self.key) or ''
    if self ~= '' then
      return numbers('>dd', self)
    end
  end

  -- read has all be read at once that the survey needs, unless some are held back.
  local function read()
    local records, y, wanted, heads = {}, 0, {}, {}
    for i = 1, owned do
      local n = node(ARGV[4 + i])
      local l, left, x = n and order(n, K.HEADS + 2) or {}, K.HEADS, 1
      while left > 0 and l[x] do
        local r = rival(l[x], i)
        if r then
          records[y + 1], records[y + 2], records[y + 3] = r[K.RIVAL_ID], r[K.RIVAL_SHAPE], r[K.RIVAL_NODE] or nil
          y = y + 2
          if r[K.RIVAL_NODE] then
            y = y + 1
            local z = #heads
            heads[z + 1], heads[z + 2] = r[K.RIVAL_SHAPE], n.digest
          end
          left = left - 1
        end
        x = x + 1
      end
    end
    fetch(records)
    for x = 1, #heads, 2 do
      want(wanted, shape_at(heads[x]), heads[x + 1])
    end
    if wanted[1] then
      open_others(wanted)
    end
  end

  -- collect finds the first few who stand at a node, without those who are held back.
  local function collect(level, n, i, only)
    local first, rivals, blocked, x = order(n, K.HEADS + 2), level.rivals, 0, 1
    while first[x] and x < K.FEW do
      local m = first[x]
      local r = rival(m, i)
      if r and #rivals == K.HEADS then
        break
      elseif r then
        local record = get(r[K.RIVAL_ID])
        r[6], r[7], r[8] = numbers('<ddd', record, 8 * K.NEXT + 1)
        r[16] = drawn_by(r[K.RIVAL_SHAPE])
        local n_parts = numbers('<d', record, 8 * K.PARTS - 7)
        if n_parts ~= 1 or not r[K.RIVAL_NODE] then
          r[K.RIVAL_PARTS] = flows.parts_of(record, K.MARGINS + (#shape_at(r[K.RIVAL_SHAPE]) - 20) / 20 * 8, n_parts)
        end
        local below, digest, result = r[K.RIVAL_NODE], nil, nil
        if below then
          local b, _ = known.nodes[below], nil
          if b then
            r[3], r[5], r[9], r[10], r[11] = b[K.NODE_END], b[K.STANDING], b[K.NODE_NEED + 1], b[K.NODE_NEED + 2], b[K.NODE_NEED + 3]
          else
            r[5], _, r[9], r[10], r[11], r[3] = numbers('<dddddd', get(below), 8 * K.STANDING - 7)
          end
          local s, wanted = shape_at(r[K.RIVAL_SHAPE]), (x > K.HEADS or reordered) and {} -- the others have been
          if wanted then
            want(wanted, s, n.digest)
          end
          if wanted and wanted[1] then
            open_others(wanted)
          end
          digest, result = held(s, n.digest, r, K.RIVAL_NEXT, K.RIVAL_NEED, record, K.MARGINS)
          r[4] = result
        else
          r[9], r[10], r[11] = numbers('<ddd', record, 8 * K.NEED + 1)
          r[3] = numbers('<d', record, 8 * K.TICKET_END - 7)
        end
        if not digest then
          rivals[#rivals + 1] = r
        else
          if blocked == 0 then -- the order changes with those who are held back
            first = {unpack(order(n, K.FEW), 1, K.FEW)}
          end
          blocked = blocked + 1
          if blocked <= K.TRIES and not only then
            reordered = true
            block(node(digest), m, result)
          end
        end
      end
      x = x + 1
    end
    level.last = first[x] and rivals[#rivals]
  end

  function survey(mine, only)
    if line[K.TICKETS] == 0 then
      return
    end
    read()
    for k = 1, count do
      for j = 1, owned do
        if owner(j) == holder[k] then
          level_of[k] = j
        end
      end
    end
    for i = 1, owned do
      local n = node(ARGV[4 + i])
      local level = {node = n, rivals = {}}
      levels[i] = level
      if n then
        if i == 1 and mine then
          level.self = mine
        elseif i > 1 then
          local below = node(ARGV[3 + i])
          if below and below.parent == n.digest and below.at ~= '' then
            level.self = below
          end
        end
        collect(level, n, i, only)
      end
    end
  end

  -- behind is how many stand at a node behind the rivals, and before a cost of that tag
  -- and place.
  local function behind(level, tag, p)
    local last = level.last
    if not last or not (last[1] < tag or last[1] == tag and last[2] < p) then
      return 0
    end
    local n = between('(' .. last[K.RIVAL_MEMBER], '(o' .. level.node.digest .. pack('>dd', tag, p))
    local own_tag, own_at = own_place(level)
    if own_tag and (own_tag > last[1] or own_tag == last[1] and own_at > last[2]) and
      (own_tag < tag or own_tag == tag and own_at < p) then
      n = n - 1
    end
    return n
  end

  -- share_of_parts is how much of some parts comes before a cost of that tag, and at most
  -- what there may be.
  local function share_of_parts(parts, most, tag)
    local sum, all = 0, 0
    for x = 1, #parts do
      local p = parts[x]
      local units = p[K.UNITS]
      all = all + units
      if p[K.PART_END] <= tag then
        sum = sum + units
      elseif p[K.PART_TAG] < tag then
        sum = sum + units * (tag - p[K.PART_TAG]) / (p[K.PART_END] - p[K.PART_TAG])
      end
    end
    return sum == all and most or math.min(most, sum / all)
  end

  function come(tag, p)
    local total = 0
    for k = 1, count do
      aside[k] = 0
    end
    for i = 1, #levels do
      local level = levels[i]
      local rivals, seen = level.rivals, 0
      while rivals[seen + 1] and (rivals[seen + 1][1] < tag or rivals[seen + 1][1] == tag and rivals[seen + 1][2] < p) do
        seen = seen + 1
      end
      local more = 1 -- those behind the first few are as they are in the mean
      if seen > 0 then
        local others_behind = behind(level, tag, p)
        if others_behind > 0 then
          more = more + others_behind / seen
        end
      end
      for x = 1, seen do
        local r = rivals[x]
        local share, own = r[4], r[16]
        if r[K.RIVAL_PARTS] then
          share = share_of_parts(r[K.RIVAL_PARTS], share, tag)
          if r[K.RIVAL_NODE] and r[3] > tag then
            share = (share + math.min(share, (tag - r[1]) / (r[3] - r[1]))) / 2
          end
        elseif r[3] > tag then
          local before = (tag - r[1]) / (r[3] - r[1])
          if before < share then
            share = before
          end
        end
        total = total + math.max(1, math.floor(r[5] * share)) * more
        for y = 1, #own do
          local k = own[y]
          if level_of[k] >= i then
            local d = dimension[k]
            aside[k] = aside[k] + math.max(r[K.RIVAL_NEXT + d], r[K.RIVAL_NEED + d] * share) * more
          end
        end
      end
    end
    tickets = math.floor(total)
  end

  function free(k, cost)
    if cost == 0 then
      return true
    end
    local o, i = holder[k], place[k]
    local capacity, used = o[i + K.CAPACITY], o[i + K.USED]
    if ceiling(k) then
      cost = 1
    end
    if cost > capacity then
      return used == 0 and aside[k] == 0
    end
    return aside[k] + cost + margin(k, cost) <= capacity - used
  end

  -- fits reports whether the cost that begins behind at may start now.
  function fits(cost, at)
    if owner(1)[K.PAUSED] > now then
      return false
    end
    for k = 1, count do
      if holder[k][K.PAUSED] > now or not free(k, cost[at + dimension[k]]) then
        return false
      end
    end
    return true
  end

  -- settle_in is for a ticket that has been put into the line: it takes the nodes of which
  -- it has come to be the first out of the way if their own buckets hold it back, and puts
  -- them back if not.
  function settle_in(t)
    local digest, due = held(ARGV[4], ARGV[4 + deep], t, K.NEXT, nil, t.rest, 1)
    for i = 1, deep - 1 do
      local n = node(ARGV[4 + i])
      local m = order(n, 1)[1]
      if not m or sub(m, 14, 49) ~= t.key then
        return
      end
      if n.digest == digest then
        block(n, m, due)
        return
      end
      if n[K.DUE] > 0 then
        rise(n)
      end
    end
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
        if ceiling(k) then
          c = 1
        end
        local left = o[i + K.CAPACITY] - o[i + K.USED] - c - margin(k, c)
        if c > o[i + K.CAPACITY] and not parts then
          left = -o[i + K.USED]
        end
        local t = (aside[k] - left) / o[i + K.RATE]
        if t > longest then
          longest = t
        end
      end
    end
    return pause > longest and pause or longest, pause
  end
end
