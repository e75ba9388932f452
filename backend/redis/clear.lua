-- clear.lua fills the buckets of the owners, and lifts their
-- pauses. What was charged before is no longer settled.
for j = 1, owned do
  local o = owner(j)
  o[K.STAMP], o[K.SINCE], o[K.PAUSED] = now + 1, now + 1, 0
  for i = K.FIRST, #o, K.SIZE do
    o[i + K.USED], o[i + K.CORRECTED] = 0, o[i + K.CORRECTED] - o[i + K.USED]
  end
end
save({})
return 1
