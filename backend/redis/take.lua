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

-- at is the ticket's place among those who are not silent, from 0, or false;
-- tickets is how many stand ahead in all.
local at, ahead, tickets = false, 0, 0
if fields[2] or not fresh then
  erase()
  local place = silent == 1 and call('ZSCORE', KEYS[5], ARGV[3])
  if place and not fresh then
    call('ZREM', KEYS[5], ARGV[3]) -- it was only slow
    call('ZADD', KEYS[2], place, ARGV[3])
  end
  at = call('ZRANK', KEYS[2], ARGV[3])
  ahead = at or call('ZCARD', KEYS[2])
  tickets = ahead
  if silent == 1 then
    place = place or at and call('ZSCORE', KEYS[2], ARGV[3])
    tickets = ahead + call('ZCOUNT', KEYS[5], '-inf', place and '(' .. place or '+inf')
    if place and not at then -- fresh, and its ticket is a silent one
      at = call('ZCOUNT', KEYS[2], '-inf', place)
      tickets = at + call('ZCOUNT', KEYS[5], '-inf', '(' .. place)
    end
  end
  if at and not fresh then
    local mine = call('HGET', KEYS[3], ARGV[3])
    if mine and number <= select(2, numbers('<dd', mine)) then
      call('HSET', KEYS[3], ARGV[3], pack('<d', now) .. string.sub(mine, 9))
      mine = string.sub(mine, 45)
      return #mine > 48 and mine or mine .. figures()
    end
  end
end

local out = {}

-- remove takes the ticket out of the line.
local function remove()
  if at then
    call('ZREM', KEYS[2], ARGV[3])
    call('HDEL', KEYS[3], ARGV[3])
  end
  if fields[2] and call('EXISTS', KEYS[2]) == 0 and (silent == 0 or call('EXISTS', KEYS[5]) == 0) then
    call('HDEL', KEYS[1], ARGV[2])
    call('DEL', KEYS[3])
  end
end

if wanted == 0 then
  remove()
  save(out)
  return told(0, now, 0, 0, 0, 0) .. figures()
end
if fresh and at then
  save(out)
  return told(0, now, 0, 0, 0, tickets + 1) .. figures()
end

local base = HEAD + count * WIDTH
local scope = owner(1)
if ahead > 0 then
  survey(ahead, {a[base + 1], a[base + 2], a[base + 3]}, false)
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
  if at then
    remove()
  end
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', ERASE / 1000)
  end
  save(out)
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
  behind = ahead - seen
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
  save(out)
  return answer
end

call('HSET', KEYS[3], ARGV[3],
  pack('<ddddd', now, number, need[1], need[2], need[3]) .. string.sub(ARGV[4], 1, 4)
    .. (granted > 0 and answer or header),
  string.sub(ARGV[4], 1, 4), string.sub(ARGV[4], 5))
if not at then
  last = last + 1
  call('ZADD', KEYS[2], last, ARGV[3])
end
if expiry < now + 30000000 then
  expiry = now + 60000000
  call('PEXPIRE', KEYS[2], 60000)
  call('PEXPIRE', KEYS[3], 60000)
end
out[1], out[2] = ARGV[2], pack('<ddd', last, expiry, silent)
save(out)
return answer
