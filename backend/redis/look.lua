-- look.lua answers as take.lua would a new ticket, and charges nothing.
-- ARGV[-1] is laid out as there. It writes nothing, unless it takes somebody silent out of
-- the others' way, or corrects a bucket that was lost.
local stepped, take_out = false, step_over
function step_over(over)
  stepped = stepped or #over > 0
  take_out(over)
end
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
if stepped or raised then
  keep()
end
return told(0, now, t, pause, t, tickets) .. figures()
