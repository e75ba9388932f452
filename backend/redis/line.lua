-- line.lua knows who stands in line. It is internal/ledger's line.go, operation for
-- operation.
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
--
-- The line's field in the account: the last place that was given away, when the
-- line's keys expire by Redis's clock, the line's clock, in which nobody's silence is
-- Redis's, and the account's then, whether somebody has been stepped over, and the place and
-- the class up to which patrol has come; then for each class its digest, how many
-- tickets it has, and what they need.
--
-- What this part offers to others:
local sub = string.sub
local classes, clock = {}, 0
local newcomer -- gives away the next place
local before   -- how many stand before a place
local from     -- what stands in the line right before a place
local fetch    -- the tickets of members
local silent_among -- finds those who are silent
local step_over, come_back -- take silent tickets out of everybody's way, and back
local enter, exit, count_in -- a ticket's way into a class, and out of it
local whole    -- has a line of which something was lost begin anew
local tidy     -- steps over those who are silent, and forgets them
local close    -- forgets a line in which nobody stands
local renew    -- has the line's keys live on
local keep     -- writes the line and the owners back
do
  local last, expiry, silent, round, patrolled = 0, 0, 0, 0, ''
  local steps = K.STEPPED -- how many tickets this ask may yet step over
  if fields[2] then
    local state, before = fields[2], nil
    last, expiry, clock, before, silent, round = numbers('<dddddd', state)
    patrolled = sub(state, 49, 52)
    clock = clock + math.min(math.max(0, now - before), K.GAP)
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
  function keep()
    save(fields[2] and {ARGV[2], line_field()} or {})
  end

  -- renew has the line's keys live on, if it is time.
  function renew()
    if expiry >= shown + K.ASLEEP / 2 then
      return
    end
    expiry = shown + K.ASLEEP
    call('PEXPIRE', KEYS[2], K.ASLEEP / 1000)
    call('PEXPIRE', KEYS[3], K.ASLEEP / 1000)
    if silent == 1 then
      call('PEXPIRE', KEYS[5], K.ASLEEP / 1000)
    end
  end

  function newcomer()
    last = last + 1
    return last
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
  function from(digest, place)
    return digest .. pack('>d', place)
  end

  -- count_in counts a ticket among its class, and out again where n is -1.
  function count_in(digest, n, need)
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

  -- enter puts a ticket into a class, where its place is, and exit takes it out. Where
  -- that begins a key, it has no expiry yet.
  function enter(digest, place, id, need)
    count_in(digest, 1, need)
    call('ZADD', KEYS[2], 0, from(digest, place) .. id)
    expiry = 0
  end

  function exit(digest, place, id, need)
    count_in(digest, -1, need)
    call('ZREM', KEYS[2], from(digest, place) .. id)
  end

  -- silent_among adds to a list those of the tickets that are silent, but not the one
  -- that asks, each after its id, up to as many as this ask may yet step over.
  function silent_among(ids, tickets, asks, over)
    for x = 1, #ids do
      if ids[x] ~= asks and clock - numbers('<d', tickets[x]) > K.LEASE and #over < 2 * steps then
        over[#over + 1], over[#over + 2] = ids[x], tickets[x]
      end
    end
  end

  -- step_over takes silent tickets out of everybody's way: for each its id and itself,
  -- in turns.
  function step_over(over)
    steps = steps - #over / 2
    for x = 1, #over, 2 do
      local t = over[x + 1]
      call('ZADD', KEYS[5], numbers('<d', t), over[x])
      exit(sub(t, K.DIGEST, K.DIGEST + 3), numbers('<d', t, K.PLACE), over[x], {numbers('<ddd', t, K.NEED)})
    end
    if #over > 0 then
      silent = 1
      call('PEXPIRE', KEYS[5], K.ASLEEP / 1000)
    end
  end

  -- come_back reports whether a ticket was stepped over, and is no longer.
  function come_back(id)
    return silent == 1 and call('ZREM', KEYS[5], id) == 1
  end

  -- fetch returns the ids of members of the line, and their tickets.
  function fetch(members)
    local ids = {}
    for x = 1, #members do
      ids[x] = sub(members[x], 13)
    end
    return ids, call('HMGET', KEYS[3], unpack(ids))
  end

  -- before is how many tickets of the class stand before the place, or in all.
  function before(c, place)
    return place and call('ZLEXCOUNT', KEYS[2], '[' .. c.digest, '(' .. from(c.digest, place)) or c[1]
  end

  -- patrol steps over the silent among the next few tickets, class by class and round
  -- again, and goes on while it finds some: surveys don't come to those who died far
  -- behind. The ticket that asks is not one of them.
  local function patrol()
    local over
    repeat
      local _, x = find(patrolled)
      local checked = 0
      over = {}
      if not x then
        x, round = 1, 0
      end
      while checked < K.ROUNDS and classes[x] do
        local digest = classes[x].digest
        local members = call('ZRANGEBYLEX', KEYS[2], '[' .. from(digest, round + 1), '(' .. digest .. K.AFTER, 'LIMIT', 0, K.ROUNDS - checked)
        if #members == 0 then
          x, round = x + 1, 0
        else
          patrolled, round, checked = digest, numbers('>d', members[#members], 5), checked + #members
          local ids, tickets = fetch(members)
          silent_among(ids, tickets, ARGV[3], over)
        end
      end
      step_over(over)
      if checked < K.ROUNDS then
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
  function close()
    if fields[2] and #classes == 0 and (silent == 0 or call('EXISTS', KEYS[5]) == 0) then
      forget()
    end
  end

  -- whole forgets the line where one of its keys was lost, or its field: some would
  -- never be forgotten, and those who are alive come anew.
  function whole()
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
    local gone = call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. exact(clock - K.ERASE), 'LIMIT', 0, K.STEPPED)
    if #gone > 0 then
      call('ZREM', KEYS[5], unpack(gone))
      call('HDEL', KEYS[3], unpack(gone))
    end
    if call('EXISTS', KEYS[5]) == 0 then
      silent = 0
      close()
    end
  end

  -- tidy is what each ask of the line does for all of it.
  function tidy()
    patrol()
    erase()
  end
end
