-- take.lua charges the longest prefix of the costs that fits, and keeps a
-- ticket for the rest.
--
-- ARGV[-1] number of costs, 1 if fresh, 1 to leave, the ask's number; after the
--          buckets the costs, in each dimension
local wanted, fresh, leave, number = a[1], a[2] == 1, a[3] == 1, a[4]

if not fresh then
  local mine = call('GET', KEYS[4])
  if mine and number <= numbers('<d', mine) then
    return sub(mine, 9)
  end
end

local scope = owner(1)

-- mine is the ticket, if there is one, which stands at own.
local mine, own = false, nil
if fields[2] or not fresh then
  whole()
end
if fields[2] then
  patrol()
  erase()
  mine = call('HGET', KEYS[3], ARGV[3])
end
local old, digest = {}, sub(ARGV[4], 1, 4) -- what it needs; our class
if mine then
  own = numbers('<d', mine, PLACE)
  old = {numbers('<ddd', mine, NEED)}
  if silent == 1 and not fresh and call('ZREM', KEYS[5], ARGV[3]) == 1 then -- it was only slow
    enter(digest, own, ARGV[3], old)
    mine = sub(mine, 1, DIGEST - 1) .. digest .. sub(mine, ANSWER)
    call('HSET', KEYS[3], ARGV[3], mine)
    expiry = 0
  end
  if not fresh and number <= select(2, numbers('<dd', mine)) then
    call('HSET', KEYS[3], ARGV[3], pack('<d', clock) .. sub(mine, 9))
    renew()
    keep()
    mine = sub(mine, ANSWER)
    return #mine > 48 and mine or mine .. figures()
  end
end

-- remove takes the ticket out of the line.
local function remove()
  if mine and (silent == 0 or call('ZREM', KEYS[5], ARGV[3]) == 0) then
    exit(sub(mine, DIGEST, DIGEST + 3), own, ARGV[3], old)
  end
  if mine then
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
  local tickets = 1
  for x = 1, #classes do
    tickets = tickets + before(classes[x], own)
  end
  keep()
  return told(0, now, 0, 0, 0, tickets) .. figures()
end

local base = HEAD + count * WIDTH
local tickets = #classes > 0 and survey(own) or 0

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
local LATE = 800000
local need = costs(granted + 1, wanted)
local next_cost = costs(granted + 1, granted + 1)
local t, pause = wait(next_cost, false)
local hint, held, behind = wait(need, true), false, 0
for k = 1, count do
  if ahead[k] and ahead[k].most > 0 and not free(k, next_cost[dimension[k]]) then
    held = true
    behind = math.max(behind, ahead[k].tickets)
  end
end
local longest = SOON
if behind > 5 then
  longest = math.max(SOON, math.min(SOON * (behind - 1) / 4, t))
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
  if held then
    local begins = wait(next_cost, true)
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
  enter(digest, own, ARGV[3], need)
elseif sub(mine, DIGEST, DIGEST + 3) == digest then
  count_in(digest, 1, need)
  count_in(digest, -1, old)
else
  enter(digest, own, ARGV[3], need)
  exit(sub(mine, DIGEST, DIGEST + 3), own, ARGV[3], old)
end
call('HSET', KEYS[3], ARGV[3],
  pack('<dddddd', clock, number, need[1], need[2], need[3], own) .. digest .. (granted > 0 and answer or header))
if not mine or expiry < now + MINUTE * 500 then
  renew()
end
keep()
return answer
