-- take.lua charges the longest prefix of the costs that fits, and keeps a
-- ticket for the rest.
--
-- KEYS[4]  the last answer to the ticket if it left nothing to wait for
-- ARGV[-1] number of costs, 1 if fresh, 1 to leave, the ask's number; after the
--          buckets the costs, in each dimension
local wanted, fresh, leave, number = a[1], a[2] == 1, a[3] == 1, a[4]

local tail, expiry = 0, 0 -- the line's last score, and when its keys expire
local ahead, at = 0, false
if fields[2] or not fresh then
  if fields[2] then
    tail, expiry = numbers('<dd', fields[2])
  end
  -- Tickets that have been silent for long are erased from the front, as are
  -- those whose other half was lost.
  while true do
    local front = call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if not front[1] then
      expiry = 0
      if fields[2] then
        call('HDEL', KEYS[1], ARGV[2])
        fields[2] = false
      end
      break
    end
    if not fields[2] then
      tail = tonumber(call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
      fields[2] = true
    end
    local t = call('HGET', KEYS[3], front[1])
    if t and now - numbers('<d', t) <= ERASE then
      break
    end
    call('ZREM', KEYS[2], front[1])
    call('HDEL', KEYS[3], front[1])
  end
  at = call('ZRANK', KEYS[2], ARGV[3])
  ahead = at or call('ZCARD', KEYS[2])

  if not fresh then
    if at then
      local mine = call('HGET', KEYS[3], ARGV[3])
      local _, last = numbers('<dd', mine)
      if number <= last then
        call('HSET', KEYS[3], ARGV[3], pack('<d', now) .. string.sub(mine, 9))
        return string.sub(mine, 49)
      end
    else
      local mine = call('GET', KEYS[4])
      if mine and number <= numbers('<d', mine) then
        return string.sub(mine, 9)
      end
    end
  end
end

local out = {}

-- remove takes the ticket out of the line.
local function remove()
  if at then
    call('ZREM', KEYS[2], ARGV[3])
    call('HDEL', KEYS[3], ARGV[3])
  end
  if fields[2] and call('EXISTS', KEYS[2]) == 0 then
    call('HDEL', KEYS[1], ARGV[2])
    call('DEL', KEYS[3])
  end
end

if wanted == 0 then
  remove()
  save(out)
  return reply(0, now, 0, 0, 0, 0)
end
if fresh and at then
  save(out)
  return reply(0, now, 0, 0, 0, at + 1)
end

local base = HEAD + count * WIDTH
local scope = owner(1)
if ahead > 0 then
  survey(ahead, {a[base + 1], a[base + 2], a[base + 3]}, false)
end

local stamp, open_to_all = now, scope[PAUSED] <= now
if scope[SINCE] > stamp then
  stamp = scope[SINCE]
end
for k = 1, count do
  local o = holder[k]
  if o[SINCE] > stamp then
    stamp = o[SINCE]
  end
  if o[PAUSED] > now then
    open_to_all = false
  end
end

local granted = 0
while open_to_all and granted < wanted do
  local c = base + granted * 3 + 1
  for k = 1, count do
    if not free(k, a[c + a[HEAD + (k - 1) * WIDTH + 1]]) then
      open_to_all = false
      break
    end
  end
  if open_to_all then
    for k = 1, count do
      local u = place[k] + USED
      holder[k][u] = holder[k][u] + a[c + a[HEAD + (k - 1) * WIDTH + 1]]
    end
    granted = granted + 1
  end
end

local rest = wanted - granted
if rest == 0 then
  local answer = reply(granted, stamp, 0, 0, 0, ahead)
  if at then
    remove()
  end
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', ERASE / 1000)
  end
  save(out)
  return answer
end

-- When to ask again: not before all the costs fit, as far as can be told, but
-- within a tenth of a second, for anything may be given back meanwhile. Those
-- far behind the ticket that holds them up may take longer, and so may
-- everybody during a pause; they must come back within the lease.
local SOON, LATE = 100000, 800000
local need = costs(granted + 1, wanted)
local t, pause = wait(costs(granted + 1, granted + 1), false, 0)
local behind = 0
if next(waiting) then
  behind = ahead - seen
end
local hint = wait(need, true, behind)
local longest = SOON
if behind > 8 then
  longest = SOON * behind / 8
end
if pause > longest then
  longest = pause
end
if longest > LATE then
  longest = LATE
end
if hint > longest then
  hint = longest
end
local answer = reply(granted, stamp, t, pause, hint, ahead)

if leave then
  remove()
  if not fresh then
    call('SET', KEYS[4], pack('<d', number) .. answer, 'PX', ERASE / 1000)
  end
  save(out)
  return answer
end

call('HSET', KEYS[3], ARGV[3],
  pack('<ddddd', now, number, need[1], need[2], need[3]) .. string.sub(ARGV[4], 1, 8) .. answer,
  string.sub(ARGV[4], 1, 8), string.sub(ARGV[4], 9))
if not at or granted > 0 then
  tail = tail + 1
  call('ZADD', KEYS[2], tail, ARGV[3])
end
if expiry < now + 30000000 then
  expiry = now + 60000000
  call('PEXPIRE', KEYS[2], 60000)
  call('PEXPIRE', KEYS[3], 60000)
end
out[1], out[2] = ARGV[2], pack('<dd', tail, expiry)
save(out)
return answer
