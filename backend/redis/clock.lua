-- clock.lua makes of what Redis's clock shows the account's own time, in which its
-- buckets refill. It is internal/ledger's clock.go, operation for operation.
local stepped = false -- whether Redis's clock has taken a step since the last script
do
  local time, latest = now, 0
  for j = 1, owned do
    if fields[j + 2] then
      latest = math.max(latest, (numbers('<d', fields[j + 2])))
    end
  end
  if f[4] >= born then
    if time > f[5] then
      time = f[4]
    elseif time < f[4] then
      time = math.max(time, math.min(f[4], shown))
    end
  end
  time = math.max(time, latest)
  stepped, now, offset = time ~= now, time, shown - time
end
