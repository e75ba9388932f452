-- line.lua knows who stands in line. It is internal/ledger's line.go, operation for
-- operation.
--
-- A node is eight numbers: its place, when its own buckets let it on, how many tickets
-- stand below it, how many nodes do, what they need in each dimension, and the end of
-- the last of them; then the place of the ticket that waits for its own buckets, its
-- parent, and, if it stands there, the end of its member: tag, place, ticket and shape.
-- A ticket is its number, tag, place and end, what its first cost needs, and all of them;
-- when it last asked, which is here only once it has been stepped over; whether it has
-- been; and how many parts it has; then its shape, its margins, its parts, and its last answer, of which the buckets'
-- figures are kept only if it granted something.
-- A shape is how many tickets have it; then the owner whose pauses hold, and for each
-- bucket its owner's digest and its name. Names of ceilings are below 0, and come last.
--
-- What this part offers to others:
local node, ticket, shape -- by their digests
local own_bucket -- the number of the ask's bucket that a shape names, if it is one
local ceilings_at -- the byte of a shape at which its ceilings begin, or that behind it
local deep        -- how many of the ask's owners are on its path
local order      -- the first few members of a node's order
local block      -- takes a node out of the way until its buckets let that of a member on
local rise       -- puts one back
local queue = {}
-- release    puts back the first few that nothing holds back any more
-- tidy       steps over those who are silent, and forgets them
-- ahead_of   how many stand before a ticket of its node
-- new_ticket what is left of an ask
-- same       whether a ticket that has asked again is what it was
-- put        puts a ticket into the line: at its end, or where it stands already
-- saw        notes that it has asked
-- renew      does so if it must, since it asks next when the hint says, and reports whether
--            that is still known
-- come_back  gives one that was only slow its place again
-- accompany  notes that some are still wanted, though another one asks
-- remove     forgets it
do
  local function new_place()
    line[K.PLACES] = line[K.PLACES] + 1
    return line[K.PLACES]
  end

  local function pack_node(n)
    return not n.gone and pack('<dddddddd', unpack(n, 1, 8)) .. n.held .. n.parent .. n.at
  end

  function node(digest)
    local n = known.nodes[digest]
    if n == nil then
      local record = get(digest)
      n = false
      if record then
        n = {numbers('<dddddddd', record)}
        n.digest, n.pack = digest, pack_node
        n.held, n.parent, n.at = sub(record, 65, 72), sub(record, 73, 84), sub(record, 85)
      end
      known.nodes[digest] = n
    end
    return n
  end

  -- need_node makes a node where there is none.
  local function need_node(digest)
    local n = node(digest)
    if not n then
      n = {new_place(), 0, 0, 0, 0, 0, 0, 0, digest = digest, pack = pack_node, held = rep('\0', 8), parent = nobody, at = ''}
      known.nodes[digest], known.orders[digest] = n, {all = true}
    end
    changed[digest] = n
    return n
  end

  local function pack_shape(s)
    return s.tickets > 0 and pack('<d', s.tickets) .. s.says
  end

  function ceilings_at(s)
    local at = #s + 1
    while at > 21 and numbers('<d', s, at - 8) < 0 do
      at = at - 20
    end
    return at
  end

  deep = ceilings_at(ARGV[4]) > #ARGV[4] and owned or owned - 1

  -- shape returns what a digest stands for: the path of owners, and how many buckets.
  function shape(digest)
    local s = known.shapes[digest]
    if not s then
      local all = digest == sub(ARGV[4], 1, 8) and ARGV[4] or get(digest)
      local says = sub(all, 9)
      local path, n = {sub(says, 1, 12)}, 1
      for at = 13, ceilings_at(all) - 9, 20 do
        local o = sub(says, at, at + 11)
        if o ~= path[n] then
          n = n + 1
          path[n] = o
        end
      end
      s = {digest = digest, says = says, pack = pack_shape, path = path, buckets = (#says - 12) / 20}
      known.shapes[digest] = s
    end
    return s
  end

  local own
  function own_bucket(name)
    if not own then
      own = {}
      for k = 1, count do
        own[sub(ARGV[4], 1 + k * 20, 20 + k * 20)] = k
      end
    end
    return own[name]
  end

  -- count_shape counts n tickets more that have it.
  local function count_shape(digest, n)
    local s = shape(digest)
    if not s.tickets then
      local record = get(digest)
      s.tickets = record and numbers('<d', record) or 0
    end
    s.tickets, changed[digest] = s.tickets + n, s
  end

  local function pack_ticket(t)
    return not t.gone and pack('<ddddddddddddd', unpack(t, 1, 13)) .. t.shape .. t.rest
  end

  -- key is the end of the members that have a ticket as the first.
  local function key(t)
    return pack('>dd', t[K.TAG], t[K.TICKET_PLACE]) .. t.id .. t.shape
  end

  function ticket(id)
    local t = known.tickets[id]
    if t == nil then
      local record = get(id)
      t = false
      if record then
        t = {numbers('<ddddddddddddd', record)}
        t.id, t.shape, t.rest, t.pack = id, sub(record, 105, 112), sub(record, 113), pack_ticket
        t.key = key(t)
      end
      known.tickets[id] = t
    end
    return t
  end

  -- new_ticket is what is left of an ask whose next cost has the tag.
  function queue.new_ticket(number, tag, next_cost, need, parts, answer)
    local last, margins = 0, {}
    for x = 1, #parts do
      last = math.max(last, parts[x][K.PART_END])
    end
    for k = 1, count do
      margins[k] = a[K.OWN_DOUBLES + k * K.START_DOUBLES - 1]
    end
    return {number, tag, 0, last, next_cost[1], next_cost[2], next_cost[3], need[1], need[2], need[3], 0, 0, #parts,
      id = ARGV[3], shape = sub(ARGV[4], 1, 8), pack = pack_ticket,
      rest = pack('<' .. rep('d', count), unpack(margins)) .. flows.pack_parts(parts) .. answer}
  end

  -- same reports that of a ticket as it was, and as it has become, of whose rest so many
  -- bytes are not its answer.
  function queue.same(old, t, bytes)
    for x = K.TICKET_END, K.NEED + 3 do
      if old[x] ~= t[x] then
        return false
      end
    end
    return old[K.TAG] == t[K.TAG] and old[K.PARTS] == t[K.PARTS] and old.shape == t.shape and
      sub(old.rest, 1, bytes) == sub(t.rest, 1, bytes)
  end

  function order(n, few)
    local l = known.orders[n.digest]
    if not l or #l < few and not l.all then
      l = range('[o' .. n.digest, '(o' .. n.digest .. K.AFTER, few)
      l.all = #l < few
      known.orders[n.digest] = l
    end
    return l
  end

  -- add puts a member into a node's order, and drop_out takes it out.
  local function add(n, m)
    member(m, true)
    local l = known.orders[n.digest]
    if not l then
      return
    end
    local x, tag, place = 1, numbers('>dd', m, 14)
    while l[x] do
      local t, p = numbers('>dd', l[x], 14)
      if tag < t or tag == t and place < p then
        break
      end
      x = x + 1
    end
    if l[x] or l.all then
      table.insert(l, x, m)
    end
  end

  local function drop_out(n, m)
    member(m, false)
    local l = known.orders[n.digest] or {}
    for x = 1, #l do
      if l[x] == m then
        table.remove(l, x)
        return
      end
    end
  end

  local function unstand(n)
    if n.at ~= '' then
      drop_out(node(n.parent), 'o' .. n.parent .. n.at .. n.digest)
      n.at, changed[n.digest] = '', n
    end
  end

  local function unblock(n)
    if n[K.DUE] > 0 then
      member('b' .. pack('>dd', n[K.DUE], n[K.NODE_PLACE]) .. n.digest, false)
      n[K.DUE], changed[n.digest], line[K.BLOCKED] = 0, n, line[K.BLOCKED] - 1
    end
  end

  -- stand gives the node, and those above it, the place that its first ticket has.
  local function stand(n)
    for _ = 1, K.DEEPEST do
      local m = order(n, 1)[1]
      if n[K.DUE] > 0 and m and sub(m, 22, 29) ~= n.held then
        unblock(n) -- another one is first
      end
      if n.parent == nobody then
        return
      end
      local p = node(n.parent)
      if not m or n[K.DUE] > 0 then
        if n.at == '' then
          return
        end
        unstand(n)
      else
        local at = sub(m, 14, 49)
        if n.at == at then
          return
        end
        unstand(n)
        n.at, changed[n.digest] = at, n
        add(p, 'o' .. n.parent .. at .. n.digest)
      end
      n = p
    end
  end

  function block(n, m, due)
    unblock(n)
    n[K.DUE], n.held, changed[n.digest] = due, sub(m, 22, 29), n
    line[K.BLOCKED] = line[K.BLOCKED] + 1
    member('b' .. pack('>dd', due, n[K.NODE_PLACE]) .. n.digest, true)
    stand(n)
  end

  function rise(n)
    unblock(n)
    stand(n)
  end

  function queue.release()
    local still, upto = K.ROUNDS, '(b' .. pack('>d', now) .. K.AFTER
    while still > 0 and line[K.BLOCKED] > 0 do
      local most = still
      local free = range('[b', upto, most)
      for x = 1, #free do
        local n = node(sub(free[x], 18, 29))
        if n[K.DUE] > 0 then
          still = still - 1
          rise(n)
        end
      end
      if #free < most then
        return
      end
    end
  end

  -- drop forgets a node below which nobody stands.
  local function drop(n)
    for _ = 1, K.DEEPEST do
      if not n or n[K.STANDING] ~= 0 or n[K.CHILDREN] ~= 0 then
        return
      end
      unblock(n)
      unstand(n)
      n.gone, changed[n.digest], known.nodes[n.digest] = true, n, false
      n = n.parent ~= nobody and node(n.parent)
      if n then
        n[K.CHILDREN], changed[n.digest] = n[K.CHILDREN] - 1, n
      end
    end
  end

  -- below reports whether a node stands below another one, or is that.
  local function below(n, other)
    for _ = 1, K.DEEPEST do
      if not n or n == other then
        return n == other
      end
      n = n.parent ~= nobody and node(n.parent)
    end
    return true
  end

  -- adopt has a node stand among those of a broader owner.
  local function adopt(n, parent)
    if n.parent == parent.digest or below(parent, n) then
      return
    end
    local was = n.parent ~= nobody and node(n.parent)
    unstand(n)
    if was then
      stand(was) -- n may have been the first there
    end
    n.parent = parent.digest
    parent[K.CHILDREN] = parent[K.CHILDREN] + 1
    stand(n)
    if was then
      was[K.CHILDREN], changed[was.digest] = was[K.CHILDREN] - 1, was
      drop(was)
    end
  end

  -- count_in adds what a ticket needs to a node.
  local function count_in(n, t)
    n[K.NODE_END] = math.max(n[K.NODE_END], t[K.TICKET_END])
    for d = 1, 3 do
      n[K.NODE_NEED + d] = n[K.NODE_NEED + d] + t[K.NEED + d]
    end
    changed[n.digest] = n
  end

  local function count_out(n, t)
    for d = 1, 3 do
      n[K.NODE_NEED + d] = n[K.NODE_NEED + d] - t[K.NEED + d]
    end
    changed[n.digest] = n
  end

  local function enter(t)
    t.key = key(t)
    local path = shape(t.shape).path
    for i = 1, #path do
      local n = need_node(path[i])
      n[K.STANDING] = n[K.STANDING] + 1
      count_in(n, t)
      if path[i + 1] then
        adopt(n, need_node(path[i + 1]))
      end
    end
    local n = node(path[1])
    add(n, 'o' .. n.digest .. t.key)
    stand(n)
  end

  -- out takes the ticket out of the order, and discount out of the sums.
  local function out(t)
    local n = node(shape(t.shape).path[1])
    drop_out(n, 'o' .. n.digest .. t.key)
    stand(n)
  end

  local function discount(t)
    local path = shape(t.shape).path
    for i = 1, #path do
      local n = node(path[i])
      n[K.STANDING] = n[K.STANDING] - 1
      count_out(n, t)
      drop(n)
    end
  end

  local function leave(t)
    out(t)
    discount(t)
  end

  -- standing is the member that says when a ticket last asked, and silent that of one that
  -- has been stepped over.
  local function standing(t)
    return pack('>d', t[K.TICKET_PLACE]) .. t.id
  end

  local function silent(t)
    return 's' .. pack('>dd', t[K.SEEN], t[K.TICKET_PLACE]) .. t.id
  end

  function queue.put(old, t)
    known.tickets[t.id], changed[t.id] = t, t
    if not old then
      t[K.TICKET_PLACE] = new_place()
      line[K.TICKETS] = line[K.TICKETS] + 1
      count_shape(t.shape, 1)
      enter(t)
      queue.saw(t)
      return
    end
    t[K.TICKET_PLACE] = old[K.TICKET_PLACE]
    if old[K.TAG] == t[K.TAG] and old.shape == t.shape then
      t.key = old.key
      local path = shape(t.shape).path
      for i = 1, #path do
        local n = node(path[i])
        if t[K.TICKET_END] > n[K.NODE_END] or t[K.NEED + 1] ~= old[K.NEED + 1] or
          t[K.NEED + 2] ~= old[K.NEED + 2] or t[K.NEED + 3] ~= old[K.NEED + 3] then
          count_in(n, t)
          count_out(n, old)
        end
      end
    else
      out(old)
      enter(t)
      discount(old)
      if old.shape ~= t.shape then
        count_shape(t.shape, 1)
        count_shape(old.shape, -1)
      end
    end
    queue.saw(t)
  end

  function queue.ahead_of(t)
    local n = node(shape(t.shape).path[1])
    return n and between('[o' .. n.digest, '(o' .. n.digest .. sub(t.key, 1, 16)) or 0
  end

  function queue.remove(t, parts)
    if t[K.SILENT] == 1 then
      member(silent(t), false)
      line[K.SILENCED] = line[K.SILENCED] - 1
    else
      leave(t)
      listen(standing(t), false)
    end
    flows.withdraw(parts)
    count_shape(t.shape, -1)
    t.gone, changed[t.id], known.tickets[t.id] = true, t, false
    line[K.TICKETS] = line[K.TICKETS] - 1
  end

  function queue.saw(t)
    listen(standing(t), line[K.CLOCK])
  end

  function queue.renew(t, hint)
    local m = standing(t)
    local at = 0
    if hint <= K.RENEW then
      at = call('ZSCORE', KEYS[5], m)
      if not at then
        return false
      end
    end
    if line[K.CLOCK] - at + hint > K.RENEW then
      call('ZADD', KEYS[5], 'XX', line[K.CLOCK], m)
    end
    return true
  end

  -- come_back leaves when it last asked to who sees it now.
  function queue.come_back(t)
    member(silent(t), false)
    line[K.SILENCED], t[K.SILENT], changed[t.id] = line[K.SILENCED] - 1, 0, t
    enter(t)
  end

  -- accompany reads them from a string of digests.
  function queue.accompany(digests)
    local ids, still = {}, {}
    for x = 1, #digests, 12 do
      ids[#ids + 1] = sub(digests, x, x + 11)
    end
    fetch(ids)
    for x = 1, #ids do
      local t = ticket(ids[x])
      if t and t[K.SILENT] == 1 then
        queue.come_back(t)
        queue.saw(t)
      elseif t then
        local y = #still
        still[y + 1], still[y + 2] = line[K.CLOCK], standing(t)
      end
    end
    if still[1] then
      call('ZADD', KEYS[5], 'XX', unpack(still))
    end
  end

  -- step_over takes a silent ticket out of everybody's way.
  local function step_over(t)
    leave(t)
    listen(standing(t), false)
    member(silent(t), true)
    line[K.SILENCED], t[K.SILENT], changed[t.id] = line[K.SILENCED] + 1, 1, t
  end

  -- tickets_of returns those of some members.
  local function tickets_of(members, at)
    local some = {}
    for x = 1, #members do
      some[x] = sub(members[x], at)
    end
    fetch(some)
    for x = 1, #some do
      some[x] = ticket(some[x]) or error('no ticket')
    end
    return some
  end

  -- fallen_silent returns the first few tickets that have not asked for a lease. It looks
  -- when there may be some, and then also whether all are there that should be.
  local function fallen_silent()
    if line[K.CLOCK] <= line[K.SURE] and line[K.SURE] <= line[K.CLOCK] + 2 * K.LEASE then
      return {}
    end
    local latest = call('ZRANGE', KEYS[5], '-1', '-1', 'WITHSCORES')[2]
    if call('ZCARD', KEYS[5]) ~= line[K.TICKETS] - line[K.SILENCED] or latest and tonumber(latest) > line[K.CLOCK] + K.LEASE then
      forget()
      return {}
    end
    local found, members, at = call('ZRANGE', KEYS[5], '0', K.PATROL - 1, 'WITHSCORES'), {}, {}
    local own = false
    line[K.SURE] = #found < 2 * K.PATROL and line[K.CLOCK] + K.LEASE or 0 -- else there may be more
    for x = 1, #found, 2 do
      local seen = tonumber(found[x + 1])
      if seen >= line[K.CLOCK] - K.LEASE then
        line[K.SURE] = math.min(seen, line[K.CLOCK]) + K.LEASE -- seen may be of a time that was not noted
        break
      elseif sub(found[x], 9) == ARGV[3] then
        own = true
      else
        members[#members + 1], at[#at + 1] = found[x], seen
      end
    end
    if own then
      line[K.SURE] = 0 -- it may stay as it is
    end
    local some = tickets_of(members, 9)
    for x = 1, #some do
      some[x][K.SEEN] = at[x]
    end
    return some
  end

  -- long_silent returns the first few of those who have been stepped over that are to be
  -- forgotten.
  local function long_silent()
    local before = line[K.CLOCK] - K.ERASE
    if before <= 0 or line[K.SILENCED] == 0 then
      return {}
    end
    return tickets_of(range('[s', '(s' .. pack('>d', before), K.ERASED), 18)
  end

  function queue.tidy()
    line[K.CLOCK], line[K.CAME] = line[K.CLOCK] + math.min(math.max(0, now - line[K.CAME]), K.GAP), now
    local fallen = fallen_silent()
    for x = 1, #fallen do
      step_over(fallen[x])
    end
    local gone = long_silent()
    for x = 1, #gone do
      local t = gone[x]
      queue.remove(t, flows.parts_of(t.rest, 1 + 8 * shape(t.shape).buckets, t[K.PARTS]))
    end
    if line[K.TICKETS] == 0 then
      forget()
    end
  end
end
