-- look.lua answers as take.lua would a new ticket, and charges nothing.
-- ARGV[-1] is laid out as there. It writes nothing, unless it corrects a bucket that was
-- lost.
if stored and not whole() then
  overlook()
end
local first = {0, 0, 0}
if a[1] > 0 then
  first = costs(1, 1)
end
fetch({unpack(ARGV, 5, 4 + owned)})
survey(false, true)
come(flows.begin((flows.flow_of(1))), math.huge)
local t, pause = 0, 0
if not fits(first, 0) then
  t, pause = wait(first, false)
end
if raised then
  save({})
end
return head_of(0, now, t, pause, t, tickets, {}) .. figures()
