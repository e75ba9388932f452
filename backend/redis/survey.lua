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
  local apart = {} -- the margin that those before leave at most
  for k = 1, count do
    aside[k], apart[k] = 0, 0
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
    local own = ceiling(k) and 0 or cut(a[K.OWN_DOUBLES + k * K.START_DOUBLES - 1], holder[k][place[k] + K.CAPACITY], cost)
    return own > apart[k] and own or apart[k]
  end

  local numbered = {} -- the ask's owners
  for j = 1, owned do
    numbered[ARGV[4 + j]] = j
  end

  local own_shape = sub(ARGV[4], 1, 8)

  -- Others' owners are looked at, and stay as they are. Here and below a table begins with
  -- room for what it mostly holds: to grow takes longer than to be filled.
  local want      -- adds those on a path below another one, and that of ceilings
  local open_them -- reads those that were added since
  local opened    -- the state and the descriptions of one
  do
    local names, named, found, read = {'', '', '', '', '', '', '', ''}, 0, {}, 0

    local function at(digest)
      for x = 1, named, 2 do
        if names[x] == digest then
          return x
        end
      end
    end

    function opened(digest)
      local x = at(digest)
      return found[x], found[x + 1] or ''
    end

    function open_them()
      if named == read then
        return
      end
      local values = call('HMGET', KEYS[1], unpack(names, read + 1, named))
      for x = 1, read > 0 and #values or 0 do
        found[read + x] = values[x]
      end
      found, read = read > 0 and found or values, named
    end

    local function want_one(digest)
      if not numbered[digest] and not at(digest) then
        names[named + 1], names[named + 2], named = digest, description(digest), named + 2
      end
    end

    -- It returns at which byte the ceilings begin. A shape is read as it stands, behind its
    -- first eight bytes.
    function want(s, above)
      local last, digest, at, ceilings = nil, sub(s, 9, 20), 21, ceilings_at(s)
      if ceilings <= #s then
        want_one(sub(s, ceilings, ceilings + 11))
      end
      while digest ~= above and digest ~= '' do
        if digest ~= last then
          want_one(digest)
          last = digest
        end
        digest, at = sub(s, at, at + 11), at + 20
      end
      return ceilings
    end
  end

  -- held_by looks at the buckets of one owner that begin at a byte of a shape, of the owner
  -- and the name there. It returns how long they hold a first cost back, the part of what is
  -- needed that they let start now, or what others do if that is less, and where the next
  -- owner's begin, its digest, and the name.
  local function held_by(digest, s, at, this, name, t, next, need, record, margins, part)
    local o, state, d, stamp, paused, _ = numbered[digest] and owner(numbered[digest]), nil, nil, now, now, nil
    if o then
      stamp, paused = o[K.STAMP], o[K.PAUSED]
    else
      state, d = opened(digest)
      if state then
        stamp, _, paused = numbers('<ddd', state)
      end
    end
    local dt = now > stamp and now - stamp or 0
    local most = paused - stamp - dt
    while this == digest do
      local found, capacity, used, rate
      if o then
        for i = K.FIRST, #o, K.SIZE do
          if o[i + K.NAME] == name then
            found, capacity, used, rate = o[i + K.DIMENSION] + 1, o[i + K.CAPACITY], o[i + K.USED], o[i + K.RATE]
            break
          end
        end
      else
        local y = 8 * K.OWNER_DOUBLES + 9
        for x = 1, #d, 8 * K.DESCRIPTION_DOUBLES do
          local is
          is, found, _, capacity = numbers('<dddd', d, x)
          if is == name then
            rate, used = numbers('<dd', state, y)
            found, used = found + 1, used - rate * dt
            if used < 0 then
              used = 0
            end
            break
          end
          found, y = nil, y + 8 * K.BUCKET_DOUBLES
        end
      end
      local cost, all = found and t[next + found] or 0, found and need and t[need + found] or 0
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
        local share = level > 0 and level / all or 0
        if share < part then
          part = share
        end
      end
      at = at + 20
      if at > #s then
        return most, part, at, ''
      end
      this, name = numbers('<c12d', s, at)
    end
    return most, part, at, this, name
  end

  -- up returns an owner's node if a ticket's path that has come to a node goes on there, else that
  -- node.
  local function up(n, digest)
    return (not n or n.parent == digest) and node(digest) or n
  end

  -- held looks at the owners on a path below another one, or, if the ticket does not name that, up
  -- to the one below it. If the buckets of one do not let a first cost start soon, it returns the
  -- node that they hold back and until when; else nothing, how much they let start now of what a
  -- node needs, and from which byte on the ask's buckets may stand in the shape. The cost stands
  -- behind next in t, and the need behind need if there is one; the margins from a byte of a record
  -- on.
  local function held(s, upto, above, ceilings, t, next, need, record, margins)
    local part, digest, at, wait, this, name, from, last = 1, sub(s, 9, 20), 21, 0, '', nil, nil, nil
    if upto and not string.find(s, above, 9, true) then
      last = upto
      if not string.find(s, upto, 9, true) then
        return nil, part, at
      end
    end
    if ceilings <= #s and digest ~= above then -- they hold back as buckets of the first would
      this, name = numbers('<c12d', s, ceilings)
      wait, part = held_by(this, s, ceilings, this, name, t, next, need, record, margins, part)
    end
    if #s > 20 then
      this, name = numbers('<c12d', s, at)
    end
    while digest ~= above and digest ~= '' do
      local most
      if numbered[digest] then
        from = 21
      end
      most, part, at, this, name = held_by(digest, s, at, this, name, t, next, need, record, margins, part)
      if most > wait then
        wait = most
      end
      if wait > K.SOON then
        local n, last = up(nil, sub(s, 9, 20)), nil
        for x = 21, at - 20, 20 do
          local o = sub(s, x, x + 11)
          if o ~= last then
            n, last = up(n, o), o
          end
        end
        return n, now + wait
      end
      digest, wait = digest ~= last and at < ceilings and this or '', 0
    end
    return nil, part, from or at
  end

  -- A rival is tag, place, end of a node; how much of what it needs its own buckets let start
  -- now, how many tickets; the first cost, and what it needs, in each dimension; its first
  -- ticket and that one's shape; the node, or false if it is a ticket; its member; which of
  -- the ask's buckets the ticket draws from; its parts, unless it is a node and its first
  -- has one; as they were read the record of the ticket, what the shape says, and the record
  -- of the node; where ceilings begin in the shape; and the margins of what it draws from.
  local rivals = {false, false, false, false}
  local reordered = false -- since all was read

  local drawn_by -- which of the ask's buckets stand in a shape from a byte on, and at which each
  do
    local draws = {} -- those who share a node mostly end alike

    function drawn_by(s, from)
      local rest = sub(s, from)
      local d = draws[rest]
      if not d then
        d = {}
        for at = 1, #rest, 20 do
          local k = own_bucket(sub(rest, at, at + 19))
          if k then
            d[#d + 1], d[-1 - #d] = k, at - 1
          end
        end
        draws[rest] = d
      end
      return d
    end
  end

  -- is_own is by digests: what its record says of its place may be wrong.
  local function is_own(m, i)
    if #m > 49 then
      return sub(m, 50) == ARGV[3 + i]
    end
    return sub(m, 30, 41) == ARGV[3]
  end

  local function new_rival(m)
    local tag, p, id, digest = numbers('>ddc12c8', m, 14)
    return {tag, p, 0, 1, 1, 0, 0, 0, 0, 0, 0, id, digest, #m > 49 and sub(m, 50), m, false, false, false, false, false, 0, false}
  end

  -- find returns the rival of a member when the order is not what it was.
  local function find(m)
    for x = 1, #rivals do
      if rivals[x] and rivals[x][K.RIVAL_MEMBER] == m then
        return rivals[x]
      end
    end
    local r = new_rival(m)
    r[K.RIVAL_RECORD], r[K.RIVAL_SAYS] = get(r[K.RIVAL_ID]), r[K.RIVAL_SHAPE] == own_shape and ARGV[4] or get(r[K.RIVAL_SHAPE])
    r[K.RIVAL_STANDS] = r[K.RIVAL_NODE] and get(r[K.RIVAL_NODE])
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
    local keys, y, z = {'', '', '', '', '', '', '', '', '', '', '', ''}, 0, 0
    for i = 1, owned do
      local level = levels[i]
      local n = level.node
      local l, left, x = n and order(n, K.HEADS + 2) or {}, K.HEADS, 1
      level.from = z + 1
      while left > 0 and l[x] do
        if not is_own(l[x], i) then
          local r = new_rival(l[x])
          z, y, left = z + 1, y + 1, left - 1
          rivals[z], keys[y] = r, r[K.RIVAL_ID]
          if r[K.RIVAL_SHAPE] ~= own_shape then
            y = y + 1
            keys[y] = r[K.RIVAL_SHAPE]
          end
          if r[K.RIVAL_NODE] then
            y = y + 1
            keys[y] = r[K.RIVAL_NODE]
          end
        end
        x = x + 1
      end
      level.upto = z
    end
    if z == 0 then
      return
    end
    local found = call('HMGET', KEYS[3], unpack(keys, 1, y))
    y = 0
    for i = 1, owned do
      local level = levels[i]
      for x = level.from, level.upto do
        local r = rivals[x]
        y = y + 1
        r[K.RIVAL_RECORD], r[K.RIVAL_SAYS] = found[y], ARGV[4]
        if r[K.RIVAL_SHAPE] ~= own_shape then
          y = y + 1
          r[K.RIVAL_SAYS] = found[y]
        end
        if r[K.RIVAL_NODE] then
          y = y + 1
          r[K.RIVAL_STANDS] = found[y]
          r[K.RIVAL_CEILINGS] = want(r[K.RIVAL_SAYS], level.node.digest)
        end
      end
    end
    open_them()
  end

  -- collect finds the first few who stand at a node, without those who are held back.
  local function collect(level, n, i, only)
    local first, blocked, x, next = order(n, K.HEADS + 2), 0, 1, not reordered and level.from or math.huge
    while first[x] and x < K.FEW do
      local m = first[x]
      if not is_own(m, i) then
        if level.seen == K.HEADS then
          break
        end
        local known_yet, r = next <= level.upto, nil
        if known_yet then
          r, next = rivals[next], next + 1
        else
          r = find(m)
        end
        local record, s = r[K.RIVAL_RECORD], r[K.RIVAL_SAYS]
        local n_parts, _
        r[6], r[7], r[8], r[9], r[10], r[11], _, _, n_parts = numbers('<ddddddddd', record, 8 * K.NEXT + 1)
        if n_parts ~= 1 or not r[K.RIVAL_NODE] then
          local parts = flows.parts_of(record, K.MARGINS + (#s - 20) / 20 * 8, n_parts)
          if r[K.RIVAL_NODE] and flows.alike(parts) then
            parts.need = {r[K.RIVAL_NEED + 1], r[K.RIVAL_NEED + 2], r[K.RIVAL_NEED + 3]}
          end
          r[K.RIVAL_PARTS] = parts
        end
        local below, stops, result, from = r[K.RIVAL_NODE], nil, nil, 21
        if below then
          local b = known.nodes[below]
          if b then
            r[3], r[5], r[9], r[10], r[11] = b[K.NODE_END], b[K.STANDING], b[K.NODE_NEED + 1], b[K.NODE_NEED + 2], b[K.NODE_NEED + 3]
          else
            r[5], _, r[9], r[10], r[11], r[3] = numbers('<dddddd', r[K.RIVAL_STANDS], 8 * K.STANDING - 7)
          end
          if not known_yet then -- the others have been
            r[K.RIVAL_CEILINGS] = want(s, n.digest)
            open_them()
          end
          stops, result, from = held(s, below, n.digest, r[K.RIVAL_CEILINGS], r, K.RIVAL_NEXT, K.RIVAL_NEED, record, K.MARGINS)
          r[4] = result
        end
        if not stops then
          local d = drawn_by(s, from)
          local margins = {0, 0, 0, 0}
          for y = 1, #d do
            margins[y] = numbers('<d', record, K.MARGINS + (from - 21 + d[-y]) / 20 * 8)
          end
          r[K.RIVAL_DRAWS], r[K.RIVAL_MARGINS] = d, margins
          level.seen = level.seen + 1
          level.rivals[level.seen] = r
        else
          if blocked == 0 then -- the order changes with those who are held back
            first = {unpack(order(n, K.FEW), 1, K.FEW)}
          end
          blocked = blocked + 1
          if blocked <= K.TRIES and not only then
            reordered = true
            block(stops, m, result)
          end
        end
      end
      x = x + 1
    end
    level.last = first[x] and level.seen > 0 and level.rivals[level.seen]
  end

  function survey(mine, only)
    if line[K.TICKETS] == 0 then
      return
    end
    for i = 1, owned do
      levels[i] = {node = node(ARGV[4 + i]), rivals = {false, false, false, false}, seen = 0, from = 0, upto = 0, self = false, last = false}
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
      local level = levels[i]
      if level.node then
        if i == 1 and mine then
          level.self = mine
        elseif i > 1 then
          local below = node(ARGV[3 + i])
          if below and below.parent == level.node.digest and below.at ~= '' then
            level.self = below
          end
        end
        collect(level, level.node, i, only)
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
      aside[k], apart[k] = 0, 0
    end
    for i = 1, #levels do
      local level = levels[i]
      local rivals, seen = level.rivals, 0
      local r = rivals[1]
      while r and (r[1] < tag or r[1] == tag and r[2] < p) do
        seen = seen + 1
        r = rivals[seen + 1]
      end
      local more = 1 -- those behind the first few are as they are in the mean
      local others_behind = behind(level, tag, p)
      if others_behind > 0 then
        more = more + others_behind / seen
      end
      for x = 1, seen do
        local r = rivals[x]
        -- Two shares come before the cost: of what a node's first ticket needs, if its parts are
        -- alike, and of all the rest.
        local rest, own, parts = r[4], r[K.RIVAL_DRAWS], r[K.RIVAL_PARTS]
        local first = rest
        if parts then
          first = share_of_parts(parts, rest, tag)
        end
        if r[3] > tag and (r[K.RIVAL_NODE] or not parts) then
          local before = (tag - r[1]) / (r[3] - r[1])
          if before < rest then
            rest = before
          end
          if not parts then
            first = rest
          elseif not parts.need then
            first = (first + math.min(first, rest)) / 2
            rest = first
          end
        else
          rest = first
        end
        local whole = math.floor(first + (r[5] - 1) * rest)
        total = total + (whole > 1 and whole or 1) * more
        for y = 1, #own do
          local k = own[y]
          if level_of[k] >= i then
            local d = dimension[k]
            local next, need = r[K.RIVAL_NEXT + d], parts and parts.need and parts.need[d] or 0
            need = need * first + (r[K.RIVAL_NEED + d] - need) * rest
            aside[k] = aside[k] + (need > next and need or next) * more
            if next > 0 and not ceiling(k) then
              local left = cut(r[K.RIVAL_MARGINS][y], holder[k][place[k] + K.CAPACITY], next)
              if left > apart[k] then
                apart[k] = left
              end
            end
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
    local stops, due = held(ARGV[4], nil, ARGV[4 + deep], ceilings_at(ARGV[4]), t, K.NEXT, nil, t.rest, 1)
    local n
    for i = 1, deep - 1 do
      n = up(n, ARGV[4 + i])
      local m = order(n, 1)[1]
      if not m or sub(m, 14, 49) ~= t.key then
        return
      end
      if n == stops then
        if n[K.DUE] == 0 or n.held ~= sub(m, 22, 29) or math.abs(due - n[K.DUE]) >= K.CLOSE then
          block(n, m, due)
        end
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
