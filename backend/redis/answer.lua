-- answer.lua reads the costs of an ask, and writes its answer.

-- costs is the sum of some of the costs.
local function costs(from, upto)
  local total = {0, 0, 0}
  for x = from, upto do
    local at = K.OWN_DOUBLES + count * K.START_DOUBLES + (x - 1) * K.COST_DOUBLES
    for d = 1, 3 do
      total[d] = total[d] + a[at + d]
    end
  end
  return total
end

-- An answer is a head and figures, all of it doubles. The head is granted, stamp, wait, pause,
-- hint, tickets ahead, and how many tags; if there are any, how far the line has come, and they.
-- The figures are what is used of each bucket, charged and corrected. The dot at the end
-- distinguishes an answer from a reply of fast.lua.
local function head_of(granted, stamp, wait, pause, hint, tickets, tags)
  local head = pack('<ddddddd', granted, stamp, wait, pause, hint, tickets, #tags)
  if tags[1] then
    head = head .. pack('<d' .. rep('d', #tags), line[K.VIRTUAL], unpack(tags))
  end
  return head
end

local function figures()
  local r = {}
  for k = 1, count do
    local o, i, x = holder[k], place[k], #r
    r[x + 1], r[x + 2], r[x + 3] = o[i + K.USED], o[i + K.CHARGED], o[i + K.CORRECTED]
  end
  return pack('<' .. rep('d', #r), unpack(r)) .. '.'
end
