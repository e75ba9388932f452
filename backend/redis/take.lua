-- take.lua charges the costs in the order of their tags, as long as they fit, and keeps a
-- ticket for the rest.
--
-- ARGV[-4] the digests of other tickets of the process that still wait
-- ARGV[-1] number of costs, 1 if fresh, 1 to leave, the ask's number, 1 if no earlier ask
--          of the ticket's can come yet, so that this one need not be noted where it changes
--          nothing; after the buckets the costs: in each dimension, the number of their
--          flow or 0, and what they count for its share
local wanted, fresh, leave, number, quiet = a[1], a[2] == 1, a[3] == 1, a[4], a[5] == 1

if stored and not whole() then
  forget()
end
if stored then
  fetch(flows.keys({ARGV[3], sub(ARGV[4], 1, 8), unpack(ARGV, 5, 4 + owned)}))
end
if not fresh and not get(ARGV[3]) then -- else an answer that is kept is an older one's
  local last = call('GET', KEYS[4])
  local to = last and numbers('<d', last)
  if last and number <= to and to - number < K.LATE_ASKS then
    return sub(last, 9)
  end
end

owner(1) -- is refilled up to now
local mine = false -- the ticket, if there is one
if stored then
  queue.tidy()
  queue.accompany(ARGV[#ARGV - 3])
  mine = ticket(ARGV[3])
end
local parts, of = {}, nil
if mine then
  if not fresh and mine[K.SILENT] == 1 then
    queue.come_back(mine)
  end
  local from
  parts, from = flows.parts_of(mine.rest, 1 + 8 * shape(mine.shape).buckets, mine[K.PARTS])
  if not fresh and number <= mine[K.NUMBER] and mine[K.NUMBER] - number < K.LATE_ASKS then
    queue.saw(mine)
    keep()
    local answer = sub(mine.rest, from)
    return #answer % 8 == 1 and answer or answer .. figures() -- which end with a dot
  end
end

if wanted == 0 then
  if mine then
    queue.remove(mine, parts)
  end
  if not (quiet and rest()) then
    keep()
  end
  return head_of(0, now, 0, 0, 0, 0, {}) .. figures()
end
if fresh and mine then
  local ahead = queue.ahead_of(mine)
  if not (quiet and rest()) then
    keep()
  end
  return head_of(0, now, 0, 0, 0, 1 + ahead, {}) .. figures()
end

queue.release()
parts, of = flows.assign(parts, wanted)
local tags = flows.tags(parts, of)
of = flows.in_order(of, tags)
survey(mine, false)

local granted, ahead, cost_place = 0, 0, mine and mine[K.TICKET_PLACE] or math.huge
while granted < wanted do
  local at = K.OWN_DOUBLES + count * K.START_DOUBLES + granted * K.COST_DOUBLES
  local p = of[granted + 1]
  come(p[K.PART_TAG], cost_place)
  if granted == 0 then
    ahead = tickets
  end
  if not fits(a, at) then
    break
  end
  for k = 1, count do
    local o, i, units = holder[k], place[k], a[at + dimension[k]]
    o[i + K.USED], o[i + K.CHARGED] = o[i + K.USED] + units, o[i + K.CHARGED] + units
  end
  flows.serve(p, a[at + K.COST_UNITS])
  granted = granted + 1
end

-- gone is for a ticket that leaves the line, or has never stood there.
local function gone(answer)
  flows.pass(parts)
  flows.withdraw(flows.left(parts))
  if mine then
    queue.remove(mine, {}) -- its parts were taken over
  end
  if not fresh then -- lest the ask come again
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', K.ERASE / 1000)
  end
  keep()
  return answer
end

if granted == wanted then
  return gone(head_of(granted, now, 0, 0, 0, ahead, tags) .. figures())
end

local need, next_cost = costs(granted + 1, wanted), costs(granted + 1, granted + 1)
local t, pause = wait(next_cost, false)
local again = hint(next_cost, need, t, pause)
local head = head_of(granted, now, t, pause, again, ahead, tags)
local answer = head .. figures()
if leave then
  return gone(answer)
end

-- A ticket is left, where its turn is. If it has only waited on, nobody need know.
local still = queue.new_ticket(number, of[granted + 1][K.PART_TAG], next_cost, need, flows.left(parts), granted > 0 and answer or head)
if quiet and mine and granted == 0 and queue.same(mine, still, #still.rest - #head) then
  settle_in(mine)
  if queue.renew(mine, again) and rest() then
    return answer
  end
end
flows.pass(parts)
queue.put(mine, still)
settle_in(still)
keep()
return answer
