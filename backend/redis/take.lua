-- take.lua charges the longest prefix of the costs that fits, and keeps a
-- ticket for the rest.
--
-- ARGV[-1] number of costs, 1 if fresh, 1 to leave, the ask's number; after the
--          buckets the costs, in each dimension
local wanted, fresh, leave, number = a[1], a[2] == 1, a[3] == 1, a[4]

if not fresh then
  local mine = call('GET', KEYS[4])
  if mine and number <= numbers('<d', mine) then
    return string.sub(mine, 9)
  end
end

-- mine is the ticket, if it has a place, which is own; tickets how many stand ahead
-- of it and are not silent.
local mine, own, tickets = false, nil, 0
if fields[2] or not fresh then
  tickets = whole()
end
if fields[2] then
  tickets = tickets - patrol()
  erase()
  mine = call('HGET', KEYS[3], ARGV[3])
  own = mine and numbers('<d', mine, PLACE)
  if mine then
    local rank = call('ZRANK', KEYS[2], ARGV[3])
    tickets = rank or call('ZCOUNT', KEYS[2], '-inf', exact(own))
    if not rank and not fresh then -- it was only slow
      call('ZREM', KEYS[5], ARGV[3])
      call('ZADD', KEYS[2], own, ARGV[3])
      expiry = 0
    end
  end
  if mine and not fresh and number <= select(2, numbers('<dd', mine)) then
    call('HSET', KEYS[3], ARGV[3], pack('<d', clock) .. string.sub(mine, 9))
    renew()
    call('HSET', KEYS[1], ARGV[2], line_field())
    mine = string.sub(mine, ANSWER)
    return #mine > 48 and mine or mine .. figures()
  end
end

-- remove takes the ticket out of the line.
local function remove()
  if mine then
    call('ZREM', KEYS[2], ARGV[3])
    call('HDEL', KEYS[3], ARGV[3])
  end
  close()
end

if wanted == 0 then
  remove()
  keep()
  return told(0, now, 0, 0, 0, 0) .. figures()
end
if fresh and mine then
  keep()
  return told(0, now, 0, 0, 0, tickets + 1) .. figures()
end

local base = HEAD + count * WIDTH
local scope = owner(1)
if tickets > 0 then
  tickets = survey(tickets, {a[base + 1], a[base + 2], a[base + 3]}, false)
end

local stamp, open_to_all = now, scope[PAUSED] <= now
if scope[SINCE] > stamp then
  stamp = scope[SINCE]
end
for k = 1, count do
  local o = holder[k]
  if o[SINCE] > stamp then
    stamp = o[SINCE]
  end
  if o[PAUSED] > now then
    open_to_all = false
  end
end
if stamp > now then
  scope[LATEST] = math.max(scope[LATEST], stamp)
  for k = 1, count do
    holder[k][LATEST] = math.max(holder[k][LATEST], stamp)
  end
end

local granted = 0
while open_to_all and granted < wanted do
  local c = base + granted * 3
  for k = 1, count do
    if not free(k, a[c + dimension[k]]) then
      open_to_all = false
      break
    end
  end
  if open_to_all then
    for k = 1, count do
      local o, i, units = holder[k], place[k], a[c + dimension[k]]
      o[i + USED], o[i + CHARGED] = o[i + USED] + units, o[i + CHARGED] + units
    end
    granted = granted + 1
  end
end

local rest = wanted - granted
if rest == 0 then
  local answer = told(granted, stamp, 0, 0, 0, tickets) .. figures()
  remove()
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', ERASE / 1000)
  end
  keep()
  return answer
end

-- When to ask again: not before all the costs fit, as far as can be told, but
-- within a tenth of a second, for anything may be given back meanwhile. Those
-- far behind the ticket that holds them up may take longer, and so may
-- everybody during a pause; they must come back within the lease. The last digits
-- of the time vary it: in a fixed rhythm those who always ask after a long gap
-- would always find more than the others.
local SOON, LATE = 100000, 800000
local need = costs(granted + 1, wanted)
local t, pause = wait(costs(granted + 1, granted + 1), false, 0)
local behind = 0
if next(waiting) then
  behind = tickets - seen
end
local hint = wait(need, true, behind)
local longest = SOON
if behind > 4 then
  longest = SOON * behind / 4
end
if pause > longest then
  longest = pause
end
if longest > LATE then
  longest = LATE
end
longest = longest * (1 - 0.1 * (now % 1000) / 1000)
if hint > longest then
  -- Who comes in the middle of its turn gets a part of it, and must come again.
  if next(waiting) then
    local begins = wait(costs(granted + 1, granted + 1), true, behind)
    if begins < longest and hint - begins <= longest / 2 then
      longest = begins * 3 / 4
    end
  end
  hint = longest
end
local header = told(granted, stamp, t, pause, hint, tickets)
local answer = header .. figures()

if leave then
  remove()
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', ERASE / 1000)
  end
  keep()
  return answer
end

fields[2] = true
if not mine then
  last = last + 1
  own = last
  call('ZADD', KEYS[2], own, ARGV[3])
end
local added = call('HSET', KEYS[3], ARGV[3],
  pack('<dddddd', clock, number, need[1], need[2], need[3], own) .. string.sub(ARGV[4], 1, 4)
    .. (granted > 0 and answer or header),
  string.sub(ARGV[4], 1, 4), string.sub(ARGV[4], 5))
digests = digests + added - (mine and 0 or 1)
if not mine or expiry < now + MINUTE * 500 then
  renew()
end
keep()
return answer
