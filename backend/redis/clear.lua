-- clear.lua fills the buckets of the owners, and lifts their
-- pauses. What was charged before is no longer settled.
for j = 1, owned do
  local o = owner(j)
  o[PAUSED] = 0
  o[SINCE] = math.max(now, o[SINCE], o[LATEST]) + 1
  for i = FIRST, #o, SIZE do
    o[i + USED], o[i + CORRECTED] = 0, o[i + CORRECTED] - o[i + USED]
  end
end
save({})
return 1
