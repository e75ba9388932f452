-- slots.lua renews a holder's lease on the slots of an owner. The rules are those of
-- internal/ledger's Slots, step for step, so that both lend the same.
--
-- KEYS[1]  the owner's slots: a hash of holders, and 'h'
-- ARGV[1]  numbers, packed as doubles: version, now (0: Redis's clock), and of the claim:
--          number, limit, used, held, need, spare
-- ARGV[2]  the holder; '' for a question
--
-- 'h' is packed doubles: version, clock, last, sum, recovering, and the shares: at, limit,
-- n, level, first, unclaimed, keep, each. A holder is: number, count, need, used, since, got,
-- expires.
local call, pack, numbers, min, max, floor = redis.call, struct.pack, struct.unpack, math.min, math.max, math.floor
local version, now, number, limit, used, held, need, spare = numbers('<dddddddd', ARGV[1])
local name = ARGV[2]
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

-- sane returns so many numbers, or nothing where what was read is something else: then it
-- is as if it had been lost.
local function sane(s, n)
  if not s or #s ~= 8 * n then
    return
  end
  local x = {numbers('<' .. string.rep('d', n), s)}
  for i = 1, n do
    if not (x[i] >= -K.ENDLESS and x[i] <= K.ENDLESS) then
      return
    end
  end
  return x
end

local read = call('HMGET', KEYS[1], 'h', name)
local format, clock, last, sum, recovering = version, now, now, 0, 0
local at, limited, n, level, first, unclaimed, keep, each = 0, 0, 0, 0, 0, 0, 0, 0
local h = sane(read[1], 13)
if read[1] and #read[1] >= 8 then
  format = numbers('<d', read[1])
  if format ~= version and format > 0 and format < K.VERSIONS and format % 1 == 0 then
    return redis.error_reply('RATELIMITVERSION ' .. format)
  end
end
if h and format == version and h[8] <= K.CLAIMANTS then
  format, clock, last, sum, recovering, at, limited, n, level, first, unclaimed, keep, each = unpack(h)
elseif held > 0 then
  recovering = now + K.SLOT_RECOVERY
end
clock = clock + min(max(1, now - last), name == '' and K.ENDLESS or K.SLOT_STEP)
last = now

-- holders returns all of them, and the fields of those whose leases have run out.
local function holders()
  local all, live, dead = call('HGETALL', KEYS[1]), {}, {}
  for i = 1, #all, 2 do
    if all[i] ~= 'h' and all[i] ~= name then
      local x = sane(all[i + 1], 7)
      if x and x[7] > clock and x[7] <= clock + K.SLOT_LEASE then
        live[#live + 1] = {count = x[2], need = x[3], used = x[4], since = x[5], got = x[6]}
      else
        dead[#dead + 1] = all[i]
      end
    end
  end
  return live, dead
end

if name == '' then
  local total = 0
  for _, h in ipairs(holders()) do
    total = total + h.used
  end
  return pack('<ddd', 0, 0, total)
end

local known, count, needed, _, since, got, expires = 0, 0, 0, 0, 0, -clock, 0
local own = sane(read[2], 7)
if own then
  known, count, needed, _, since, got, expires = unpack(own)
end
local lent, target
if own and number <= known and known - number < K.LATE_ASKS then -- it has been answered
  need, lent, target = needed, count, count
else
  local function waits()
    if need <= count then
      since = 0
    elseif since == 0 then
      since = clock
    end
  end

  -- nth returns the n-th smallest of the values; where there are fewer, more than all
  -- of them, and where n is 0, less.
  local function nth(values, n)
    if n <= 0 then
      return -K.ENDLESS
    elseif n > #values then
      return K.ENDLESS
    end
    table.sort(values)
    return values[n]
  end

  if held < count then
    since = 0 -- it has had a turn
  end
  sum, count, expires = sum + held - count, held, clock + K.SLOT_LEASE
  waits()
  if limited ~= limit or at > clock or clock - at >= max(0, n - K.SLOT_FEW) * K.SLOT_SURVEY_EACH then
    local live, dead = holders()
    for i = 1, #dead, 100 do
      call('HDEL', KEYS[1], unpack(dead, i, min(i + 99, #dead)))
    end
    live[#live + 1] = {count = count, need = need, since = since, got = got}
    local needs, needed = {}, 0
    sum = 0
    for i, h in ipairs(live) do
      needs[i], needed, sum = h.need, needed + h.need, sum + h.count
    end
    at, limited, n, level, first, unclaimed, keep, each = clock, limit, #live, K.ENDLESS, 0, 0, 0, 0
    if needed <= limit then
      each = floor(floor((limit - needed) / 2) / n)
    else
      table.sort(needs)
      local left = limit
      for i = 1, n do
        local share = floor(left / (n - i + 1))
        if needs[i] > share then
          level, left = share, left - share * (n - i + 1)
          break
        end
        left = left - needs[i]
      end
      local turn, waiting, have, in_turn = K.SLOT_TURN, {}, {}, 0
      if level == 0 then
        turn = K.SLOT_ONLY_TURN
      end
      for _, h in ipairs(live) do
        if h.need <= level then
          -- it has all that it needs
        elseif h.count <= level then
          waiting[#waiting + 1] = h.since
        else
          have[#have + 1] = -h.got
          if clock - h.got < turn then
            in_turn = in_turn + 1
          end
        end
      end
      first = nth(waiting, left - in_turn)
      unclaimed = nth(waiting, left - #have)
      keep = -nth(have, min(left, max(in_turn, left - #waiting)))
    end
  end

  target = level
  if need <= level then
    target = need
  elseif count <= level and since <= first or count > level and got >= keep then
    target = level + 1
  end
  target = target + min(spare, each)
  lent = min(target, held)
  local at_once = target
  if target == level + 1 and count < target and since > unclaimed and clock - since < K.SLOT_YIELD then
    at_once = level
  end
  local more = min(limit - sum, at_once - held)
  if more > 0 and clock >= recovering then
    lent = held + more
    sum, count, got = sum + lent - count, lent, clock
    waits()
  end

  local head = pack('<ddddddddddddd', version, clock, last, sum, recovering, at, limited, n, level, first, unclaimed, keep, each)
  if count == 0 and need == 0 then
    call('HDEL', KEYS[1], name)
    call('HSET', KEYS[1], 'h', head)
  else
    call('HSET', KEYS[1], 'h', head, name, pack('<ddddddd', number, count, need, used, since, got, expires))
  end
  call('PEXPIRE', KEYS[1], K.SLOT_ASLEEP)
end

local again = K.SLOT_RENEW
if need > count then
  again = K.SLOT_POLL
  if target <= count then
    again = min(K.SLOT_IDLE, K.SLOT_POLL + n * K.SLOT_POLL_EACH)
  end
elseif count > need then
  again = K.SLOT_IDLE
end
return pack('<ddd', lent, again, 0)
