-- settle.lua corrects what grants have charged. ARGV[1] is laid out as settlefast.lua says,
-- with the buckets in the order in which core.lua counts them.
--
-- ARGV[5]  the owner that is paused

-- correct applies a correction as far as nobody else has.
local function correct(o, i, from, to)
  local corrected = o[i + K.CORRECTED]
  if to > from and corrected < to or to <= from and corrected == from then
    o[i + K.CORRECTED] = to
    set(o, i, o[i + K.USED] + (to - corrected))
  end
end

local settlements, width = f[K.HEAD_DOUBLES + 1], f[K.HEAD_DOUBLES + 2]
local corrects, pause = f[K.HEAD_DOUBLES + 4] == 1, f[K.HEAD_DOUBLES + 5]
local first = K.HEAD_DOUBLES + K.SETTLE_DOUBLES + K.SETTLED_DOUBLES * count + 1
for r = first, first + (settlements - 1) * width, width do
  for k = 1, count do
    local o, i = holder[k], place[k]
    if f[r] >= o[K.SINCE] then
      set(o, i, o[i + K.USED] - f[r + k])
      if corrects then
        correct(o, i, f[r + count + 2 * k - 1], f[r + count + 2 * k])
      end
    end
  end
end
if pause > 0 then
  local o = owner(1)
  if now + pause > o[K.PAUSED] then
    o[K.PAUSED] = now + pause
  end
end
save({})
return 1
