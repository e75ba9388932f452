-- clear.lua fills the buckets of the owners, and lifts their
-- pauses. What was charged before is no longer settled.
for j = 1, owned do
  local o = owner(j)
  o[PAUSED] = 0
  o[SINCE] = (now > o[SINCE] and now or o[SINCE]) + 1
  for i = FIRST + USED, #o, SIZE do
    o[i] = 0
  end
end
save({})
return 1
