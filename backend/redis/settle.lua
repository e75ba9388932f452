-- settle.lua corrects what a grant has charged.
--
-- ARGV[-1] the refund in each dimension, and the stamp of the grant; after the
--          buckets a pause, and what is added to each of the buckets, if anything
-- ARGV[5]  the owner that is paused
local stamp, tail = a[4], HEAD + count * WIDTH + 1

-- give returns units, or takes more; debts end at a level of -limit.
local function give(o, i, units)
  local used = o[i + USED]
  if units < 0 then
    local most = o[i + CAPACITY] + o[i + LIMIT]
    local more = used - units
    if more > most then
      more = most
    end
    o[i + USED] = used > more and used or more
    return
  end
  used = used - units
  o[i + USED] = used > 0 and used or 0
end

for k = 1, count do
  local o, i = holder[k], place[k]
  if stamp >= o[SINCE] then
    give(o, i, a[1 + o[i + DIMENSION]])
  end
  if a[tail + 1] then
    give(o, i, -a[tail + k])
  end
end
if a[tail] > 0 then
  local o = owner(1)
  if now + a[tail] > o[PAUSED] then
    o[PAUSED] = now + a[tail]
  end
end
save({})
return 1
