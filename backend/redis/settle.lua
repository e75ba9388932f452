-- settle.lua corrects what a grant has charged.
--
-- ARGV[-1] the refund in each dimension, and the stamp of the grant; after the
--          buckets a pause, and if there are corrections, for each of the buckets
--          from where to where
-- ARGV[5]  the owner that is paused
local stamp, tail = a[4], K.OWN_DOUBLES + count * K.START_DOUBLES + 1

-- correct applies a correction as far as nobody else has.
local function correct(o, i, from, to)
  local corrected = o[i + K.CORRECTED]
  if to > from and corrected < to or to <= from and corrected == from then
    o[i + K.CORRECTED] = to
    set(o, i, o[i + K.USED] + (to - corrected))
  end
end

for k = 1, count do
  local o, i = holder[k], place[k]
  if stamp >= o[K.SINCE] then
    set(o, i, o[i + K.USED] - a[dimension[k]])
    if a[tail + 1] then
      correct(o, i, a[tail + 2 * k - 1], a[tail + 2 * k])
    end
  end
end
if a[tail] > 0 then
  local o = owner(1)
  if now + a[tail] > o[K.PAUSED] then
    o[K.PAUSED] = now + a[tail]
  end
end
save({})
return 1
