-- settle.lua corrects what a grant has charged.
--
-- ARGV[-1] the refund in each dimension, and the stamp of the grant; after the
--          buckets a pause, and if anything is added to them, for each of the
--          buckets how much, and the most to which that raises what is used
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
    local units, most = a[tail + 2 * k - 1], a[tail + 2 * k]
    if units > 0 and units > most - o[i + USED] then
      units = most - o[i + USED]
      if units < 0 then
        units = 0
      end
    end
    give(o, i, -units)
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
