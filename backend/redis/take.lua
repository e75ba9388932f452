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
  tidy()
  mine = call('HGET', KEYS[3], ARGV[3])
end
local old, digest = {}, sub(ARGV[4], 1, 4) -- what it needs; our class
if mine then
  own = numbers('<d', mine, K.PLACE)
  old = {numbers('<ddd', mine, K.NEED)}
  if not fresh and come_back(ARGV[3]) then -- it was only slow
    enter(digest, own, ARGV[3], old)
    mine = sub(mine, 1, K.DIGEST - 1) .. digest .. sub(mine, K.ANSWER)
    call('HSET', KEYS[3], ARGV[3], mine)
  end
  if not fresh and number <= select(2, numbers('<dd', mine)) then
    call('HSET', KEYS[3], ARGV[3], pack('<d', clock) .. sub(mine, 9))
    renew()
    keep()
    mine = sub(mine, K.ANSWER)
    return #mine > 8 * K.ANSWER_DOUBLES and mine or mine .. figures()
  end
end

-- remove takes the ticket out of the line.
local function remove()
  if mine then
    if not come_back(ARGV[3]) then
      exit(sub(mine, K.DIGEST, K.DIGEST + 3), own, ARGV[3], old)
    end
    call('HDEL', KEYS[3], ARGV[3])
  end
  close()
end

-- remember keeps an answer after which the ticket is gone, lest the ask come again.
local function remember(answer)
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', K.ERASE / 1000)
  end
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

local base = K.OWN_DOUBLES + count * K.START_DOUBLES
local tickets = #classes > 0 and survey(own) or 0

local open_to_all = scope[K.PAUSED] <= now
for k = 1, count do
  if holder[k][K.PAUSED] > now then
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
      o[i + K.USED], o[i + K.CHARGED] = o[i + K.USED] + units, o[i + K.CHARGED] + units
    end
    granted = granted + 1
  end
end

local rest = wanted - granted
if rest == 0 then
  local answer = told(granted, now, 0, 0, 0, tickets) .. figures()
  remove()
  remember(answer)
  keep()
  return answer
end

local need, next_cost = costs(granted + 1, wanted), costs(granted + 1, granted + 1)
local t, pause = wait(next_cost, false)
local header = told(granted, now, t, pause, hint(next_cost, need, t, pause), tickets)
local answer = header .. figures()

if leave then
  remove()
  remember(answer)
  keep()
  return answer
end

fields[2] = true
if not mine then
  own = newcomer()
  enter(digest, own, ARGV[3], need)
elseif sub(mine, K.DIGEST, K.DIGEST + 3) == digest then
  count_in(digest, 1, need)
  count_in(digest, -1, old)
else
  enter(digest, own, ARGV[3], need)
  exit(sub(mine, K.DIGEST, K.DIGEST + 3), own, ARGV[3], old)
end
call('HSET', KEYS[3], ARGV[3],
  pack('<dddddd', clock, number, need[1], need[2], need[3], own) .. digest .. (granted > 0 and answer or header))
renew()
keep()
return answer
