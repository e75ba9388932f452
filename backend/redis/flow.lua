-- flow.lua shares a line between flows. It is internal/ledger's flow.go, operation for
-- operation.
--
-- A flow's key is the digests of its class and its tenant; that of the one without names
-- is empty, and its finish tag one of the line's numbers, so that a line without flows
-- costs no command for them. The class without a name is nobody.
--
-- ARGV[-3] the flows of the ask: for each the digests of its class and its tenant, and
--          the class's weight
--
-- What this part offers to others:
local nobody = rep('\0', 12)
local flows = {}
-- begin      the tag of what asks next for a flow
-- flow_of    the key and the weight of the flow on whose behalf a cost asks
-- keys       adds those of the ask's flows to others
-- assign     gives the costs of an ask their tags
-- tags       the tag of each of them
-- in_order   brings them into the order of those
-- withdraw   takes back what a ticket has asked for
-- left       the parts of which costs are left
-- serve      lets a cost of a part start
-- pass       forgets now and then some of those that the virtual time has passed
-- parts_of   reads the parts of a ticket
-- alike      whether there are several, all of one flow
-- pack_parts packs them
do
  -- A flow is its finish tag, and the tag of what came last. One that the virtual time has
  -- passed is as good as one that nobody has heard of.
  local function beginning(f)
    return math.max(f[1], f[2])
  end

  local function pack_flow(f)
    local class, tenant = sub(f.key, 1, 12), sub(f.key, 13)
    if f.stored then
      member('f' .. class .. pack('>d', f.stored) .. tenant, false)
    end
    local begin = beginning(f)
    if begin <= line[K.VIRTUAL] then
      return false
    end
    member('f' .. class .. pack('>d', begin) .. tenant, true)
    return pack('<dd', f[1], f[2])
  end

  local function flow(key)
    local f = known.flows[key]
    if not f then
      if key == '' then
        f = {line[K.FINISH], line[K.LAST]}
      else
        local record = get(key)
        f = record and {numbers('<dd', record)} or {0, 0}
        if not (f[1] < K.LATEST and f[2] < K.LATEST) then
          error('flow')
        end
        f.stored, f.pack = record and beginning(f), pack_flow
      end
      f.key = key
      known.flows[key] = f
    end
    return f
  end

  function flows.begin(key)
    return math.max(line[K.VIRTUAL], beginning(flow(key)))
  end

  local function set(f, finish, last)
    f[1], f[2] = finish, last
    if f.key == '' then
      line[K.FINISH], line[K.LAST] = finish, last
      return
    end
    changed[f.key] = f
    if sub(f.key, 1, 12) == nobody then
      line[K.NAMED] = math.max(line[K.NAMED], beginning(f))
    end
  end

  -- move moves the finish tag of a flow that the virtual time has not passed.
  local function move(key, by)
    local f = flow(key)
    if by ~= 0 and beginning(f) > line[K.VIRTUAL] then
      set(f, f[1] + by, f[2])
    end
  end

  -- forget_some forgets those of a class that the virtual time has passed, or else those that are
  -- too many. There the ledger forgets the same, but with each ask.
  local looked = {}
  local function forget_some(class)
    if looked[class] then
      return
    end
    looked[class] = true
    local first, last = '[f' .. class, '(f' .. class .. K.AFTER
    local gone = range(first, '(f' .. class .. pack('>d', line[K.VIRTUAL]) .. K.AFTER, K.ERASED)
    if not gone[1] then
      local more = between(first, last) - K.TENANTS
      gone = more > 0 and range(first, last, math.min(more, K.ERASED)) or gone
    end
    for x = 1, #gone do
      local key = class .. sub(gone[x], 22)
      if not known.flows[key] then
        member(gone[x], false)
        changed[key] = {pack = function() return false end}
      end
    end
  end

  -- pass does so for the classes of some parts, and for another one, which may ask no more.
  function flows.pass(parts)
    if not stored or now % K.RARELY ~= 1 then
      return
    end
    for x = 1, #parts do
      if parts[x].key ~= '' then
        forget_some(sub(parts[x].key, 1, 12))
      end
    end
    local function after(begin)
      return range(begin, '(f' .. K.AFTER, 1)[1]
    end
    local turn = math.floor(now / K.RARELY)
    local some = after('[f' .. string.char(math.floor(turn / 256) % 256, turn % 256)) or after('[f')
    if some and looked[sub(some, 2, 13)] then
      some = after('(' .. sub(some, 1, 13) .. K.AFTER)
    end
    if some then
      forget_some(sub(some, 2, 13))
    end
  end

  -- tenants is how many of a class the virtual time has not passed.
  local function tenants(class)
    local n, virtual = known.classes[class], line[K.VIRTUAL]
    if not n then
      n = 0
      if stored and (class ~= nobody or line[K.NAMED] > virtual) then
        n = between('(f' .. class .. pack('>d', virtual) .. K.AFTER, '(f' .. class .. K.AFTER)
      end
      known.classes[class] = n
    end
    for key, f in pairs(known.flows) do
      if key ~= '' and sub(key, 1, 12) == class then
        n = n + (beginning(f) > virtual and 1 or 0) - (f.stored and f.stored > virtual and 1 or 0)
      end
    end
    if class == nobody and math.max(line[K.FINISH], line[K.LAST]) > virtual then
      n = n + 1
    end
    return n
  end

  -- pace is by how much a flow's finish tag grows for a unit.
  local function pace(key, weight)
    local n = tenants(key == '' and nobody or sub(key, 1, 12))
    if beginning(flow(key)) <= line[K.VIRTUAL] then
      n = n + 1
    end
    return weight > 0 and n / weight or n
  end

  function flows.keys(others)
    local says = ARGV[#ARGV - 2]
    for x = 1, #says, 32 do
      others[#others + 1] = sub(says, x, x + 23)
    end
    return others
  end

  function flows.flow_of(cost)
    local at = a[K.OWN_DOUBLES + count * K.START_DOUBLES + (cost - 1) * K.COST_DOUBLES + K.COST_FLOW] or 0
    if at == 0 then
      return '', 0
    end
    local x = (at - 1) * 32
    local key, weight = sub(ARGV[#ARGV - 2], x + 1, x + 24), numbers('<d', ARGV[#ARGV - 2], x + 25)
    return key == nobody .. nobody and '' or key, weight
  end

  local function units_of(cost)
    return a[K.OWN_DOUBLES + count * K.START_DOUBLES + (cost - 1) * K.COST_DOUBLES + K.COST_UNITS]
  end

  -- assign returns the ticket's parts, and for each of the costs its part. A part is some
  -- costs of a ticket, of one flow, that came together.
  function flows.assign(old, wanted)
    local parts, of = {}, {}
    for x = 1, #old do
      local p = old[x]
      parts[x] = {0, p[K.PART_TAG], p[K.PART_END], 0, p[K.WEIGHT], 0, key = p.key}
    end
    for i = 1, wanted do
      local key, weight = flows.flow_of(i)
      local at = 1
      while parts[at] and not (parts[at].key == key and (not old[at] or parts[at][K.COSTS] < old[at][K.COSTS])) do
        at = at + 1
      end
      if not parts[at] then
        parts[at] = {0, 0, 0, 0, weight, 0, key = key}
      end
      local p = parts[at]
      of[i], p[K.COSTS], p[K.UNITS] = p, p[K.COSTS] + 1, p[K.UNITS] + units_of(i)
    end
    for x = 1, #old do
      local p = parts[x]
      p[K.PACE] = pace(p.key, p[K.WEIGHT]) -- tenants may have come or gone
      local last = p[K.PART_TAG] + p[K.UNITS] * p[K.PACE]
      move(p.key, last - p[K.PART_END])
      p[K.PART_END] = last
    end
    for x = #old + 1, #parts do
      local p = parts[x]
      p[K.PART_TAG], p[K.PACE] = flows.begin(p.key), pace(p.key, p[K.WEIGHT])
      p[K.PART_END] = p[K.PART_TAG] + p[K.UNITS] * p[K.PACE]
      set(flow(p.key), p[K.PART_END], p[K.PART_TAG])
    end
    return parts, of
  end

  -- tags returns the tag of each cost, if the ask has flows. Those of a flow never fall, though a
  -- later part of it may have come when it had fewer rivals.
  function flows.tags(parts, of)
    local tags, at, last = {}, {}, {}
    if ARGV[#ARGV - 2] == '' then
      return tags
    end
    for i = 1, #of do
      local p = of[i]
      local tag = at[p] or p[K.PART_TAG]
      at[p] = tag + units_of(i) * p[K.PACE]
      tags[i] = math.max(tag, last[p.key] or tag)
      last[p.key] = tags[i]
    end
    return tags
  end

  -- in_order puts the costs, and their parts, into the order of their tags.
  function flows.in_order(of, tags)
    local order, moved = {}, false
    for i = 1, #tags do
      local at = i
      while at > 1 and tags[order[at - 1]] > tags[i] do
        order[at], at, moved = order[at - 1], at - 1, true
      end
      order[at] = i
    end
    if not moved then
      return of
    end
    local from, size = K.OWN_DOUBLES + count * K.START_DOUBLES, K.COST_DOUBLES
    local costs, parts = {unpack(a, from + 1, from + #order * size)}, {}
    for to = 1, #order do
      parts[to] = of[order[to]]
      for x = 1, size do
        a[from + (to - 1) * size + x] = costs[(order[to] - 1) * size + x]
      end
    end
    return parts
  end

  function flows.withdraw(parts)
    for x = 1, #parts do
      move(parts[x].key, parts[x][K.PART_TAG] - parts[x][K.PART_END])
    end
  end

  function flows.left(parts)
    local some = {}
    for x = 1, #parts do
      if parts[x][K.COSTS] > 0 then
        some[#some + 1] = parts[x]
      end
    end
    return some
  end

  function flows.serve(p, units)
    line[K.VIRTUAL] = math.max(line[K.VIRTUAL], p[K.PART_TAG])
    p[K.PART_TAG] = p[K.PART_TAG] + units * p[K.PACE]
    p[K.UNITS] = p[K.UNITS] - units
    p[K.COSTS] = p[K.COSTS] - 1
  end

  -- parts_of reads n parts of a record, from a byte on, and returns where they end.
  function flows.parts_of(record, from, n)
    local parts = {}
    for x = 1, n do
      local p = {numbers('<ddddd', record, from)}
      from = from + 40
      p.key = ''
      if sub(record, from, from) == '+' then
        p.key = sub(record, from + 1, from + 24)
        from = from + 24
      end
      parts[x], from = p, from + 1
    end
    return parts, from
  end

  function flows.alike(parts)
    for x = 2, #parts do
      if parts[x].key ~= parts[1].key then
        return false
      end
    end
    return #parts > 1
  end

  function flows.pack_parts(parts)
    local out = {}
    for x = 1, #parts do
      local p = parts[x]
      out[x] = pack('<ddddd', unpack(p, 1, 5)) .. (p.key == '' and '-' or '+' .. p.key)
    end
    return table.concat(out)
  end
end
