-- store.lua reads and writes what a line keeps.
--
-- KEYS[2]  the members: a sorted set of score 0, whose order is that of its bytes, and
--          so that of the numbers in them, which are doubles with the high byte first:
--          'o', a node, tag, place, the ticket that has them and its shape: a ticket of
--            the node, or with one more digest at the end a node below it
--          'b', when a node's own buckets let it on, its place, and the node
--          's', when a ticket that has been stepped over last asked, by the line's clock,
--            its place, and the ticket
--          'f', a class, where what asks next for one of its tenants begins, and that
-- KEYS[3]  the records: a hash, of tickets and nodes by digests of twelve bytes, of
--          shapes by digests of eight, of flows by the digests of class and tenant
-- KEYS[4]  the last answer to the ticket if it left nothing to wait for
-- KEYS[5]  a sorted set: of the other tickets the place and the ticket, and as the score
--          when it last asked. An ask that only waits on writes nothing else
--
-- The line's field in the account has so many numbers, however many stand in line. They
-- say how many members and records there are, too.
--
-- What is read is kept, and what changes is written at the end; members also before
-- others are read.
--
-- What this part offers to others:
local sub = string.sub
local line         -- the numbers of the line's field, or of a new line
local stored       -- whether the line stands in Redis
local known        -- what others have made of records and members
local fetch, get   -- read records, some at once, or one
local changed = {} -- by digest what is to be written: something with a pack
local member       -- adds a member, or takes it out
local listen       -- notes when a ticket has asked, or that it is gone or stepped over
local range, between -- some members, and how many there are
local whole        -- whether nothing of the line was lost
local overlook     -- goes on as if there were no line
local forget       -- has the line begin anew
local rest         -- whether only time has passed, which is noted now and then
local keep         -- writes the line and the owners back
do
  local read, moved, moves, asked = {}, {}, false, {}
  local came -- when somebody last did, as it was read

  function overlook()
    line, stored = {0, 0, 0, now, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false
    known = {nodes = {}, orders = {}, tickets = {}, shapes = {}, flows = {}, classes = {}}
    read, changed, moved, moves, asked, came = {}, {}, {}, false, {}, now
  end

  overlook()
  if fields[2] then
    line, stored = {numbers('<dddddddddddddd', fields[2])}, true
    came = line[K.CAME]
    for x = 1, 14 do
      if not (line[x] > -K.LATEST and line[x] < K.LATEST) then
        error('line')
      end
    end
  end

  -- in_parts calls a command with some of the arguments at a time, for Lua's stack has an
  -- end, and returns the sum of its replies.
  local function in_parts(command, key, arguments)
    local total = 0
    for x = 1, #arguments, K.AT_ONCE do
      total = total + call(command, key, unpack(arguments, x, math.min(x + K.AT_ONCE - 1, #arguments)))
    end
    return total
  end

  function fetch(wanted)
    local missing, n = {}, 0
    for x = 1, stored and #wanted or 0 do
      if read[wanted[x]] == nil then
        n = n + 1
        missing[n] = wanted[x]
      end
    end
    for x = 1, n, K.AT_ONCE do
      local found = call('HMGET', KEYS[3], unpack(missing, x, math.min(x + K.AT_ONCE - 1, n)))
      for y = 1, #found do
        read[missing[x + y - 1]] = found[y]
      end
    end
  end

  function get(field)
    if read[field] == nil then
      read[field] = stored and call('HGET', KEYS[3], field)
    end
    return read[field]
  end

  function member(m, there)
    moved[m], moves, dirty = there, true, true
  end

  function listen(m, at)
    asked[m] = at
  end

  -- move writes the members that have changed. Those that come are first, lest the key
  -- vanish meanwhile, and its expiry with it. If it has, since others were read in between,
  -- all expire anew.
  local function move()
    if line[K.MEMBERS] == 0 then
      line[K.EXPIRY] = 0
    end
    local come, go = {}, {}
    for m, there in pairs(moved) do
      if there then
        local x = #come
        come[x + 1], come[x + 2] = '0', m
      else
        go[#go + 1] = m
      end
    end
    line[K.MEMBERS] = line[K.MEMBERS] + in_parts('ZADD', KEYS[2], come) - in_parts('ZREM', KEYS[2], go)
    moved, moves = {}, false
  end

  function range(from, upto, most)
    if moves then
      move()
    end
    return call('ZRANGEBYLEX', KEYS[2], from, upto, 'LIMIT', '0', most)
  end

  function between(from, upto)
    if moves then
      move()
    end
    return call('ZLEXCOUNT', KEYS[2], from, upto)
  end

  -- whole reports whether all is there, and in order: members are ordered by what they say
  -- only where all scores are 0.
  function whole()
    return call('ZCOUNT', KEYS[2], '0', '0') == line[K.MEMBERS] and call('HLEN', KEYS[3]) == line[K.RECORDS]
  end

  function forget()
    dirty = true
    if stored then
      call('HDEL', KEYS[1], ARGV[2])
      call('DEL', KEYS[2], KEYS[3], KEYS[5])
    end
    overlook()
  end

  -- last sees to it that the keys of the line live on, and returns its field.
  local function last()
    if line[K.EXPIRY] < shown + K.ASLEEP / 2 then
      line[K.EXPIRY] = shown + K.ASLEEP
      call('PEXPIRE', KEYS[2], K.ASLEEP / 1000)
      call('PEXPIRE', KEYS[3], K.ASLEEP / 1000)
      call('PEXPIRE', KEYS[5], K.ASLEEP / 1000)
    end
    return pack('<dddddddddddddd', unpack(line, 1, 14))
  end

  -- write writes all that has changed of the line, and returns its field.
  local function write()
    if not stored and not whole() then
      call('DEL', KEYS[2], KEYS[3], KEYS[5]) -- the line's field was lost
    end
    local come, go, set, gone = {}, {}, {}, {}
    for m, at in pairs(asked) do
      if at then
        local x = #come
        come[x + 1], come[x + 2] = at, m
      else
        go[#go + 1] = m
      end
    end
    if in_parts('ZADD', KEYS[5], come) > 0 then
      call('PEXPIRE', KEYS[5], K.ASLEEP / 1000) -- it may be new, also where others stand in line
    end
    in_parts('ZREM', KEYS[5], go)
    for field, x in pairs(changed) do
      local record = x:pack()
      if record then
        local y = #set
        set[y + 1], set[y + 2] = field, record
      else
        gone[#gone + 1] = field
      end
    end
    line[K.RECORDS] = line[K.RECORDS] + in_parts('HSET', KEYS[3], set) - in_parts('HDEL', KEYS[3], gone)
    if moves then
      move()
    end
    return last()
  end

  function rest()
    if dirty or stepped or next(changed) then
      return false
    end
    local passed = now - came
    if stored and (passed < 0 or passed >= K.TICK) then
      call('HSET', KEYS[1], ARGV[2], last())
    end
    return true
  end

  function keep()
    if line[K.TICKETS] > 0 then
      save({ARGV[2], write()})
    else
      forget()
      save({})
    end
  end
end
