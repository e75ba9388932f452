-- look.lua answers as take.lua would a new ticket, and charges nothing.
-- ARGV[-1] is laid out as there.
if fields[2] then
  whole()
end
local first = {0, 0, 0}
if a[1] > 0 then
  first = costs(1, 1)
end
local scope = owner(1)
local tickets = #classes > 0 and survey() or 0
local fits = scope[K.PAUSED] <= now
for k = 1, count do
  if holder[k][K.PAUSED] > now or not free(k, first[dimension[k]]) then
    fits = false
  end
end
local t, pause = 0, 0
if not fits then
  t, pause = wait(first, false)
end
keep()
return told(0, now, t, pause, t, tickets) .. figures()
