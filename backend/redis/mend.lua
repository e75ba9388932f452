-- mend.lua drops what makes no sense of what the scripts keep: from an account's hash the
-- owners, and the line that was asked for as a whole. An owner begins anew from what its
-- asks know of it, and those in line come again.
--
-- KEYS      those of an ask; a settlement has the account's alone
-- ARGV[1]   the version, packed as a double
-- ARGV[2]   the field of the line
local call, rep, numbers = redis.call, string.rep, struct.unpack

-- sane reports whether the numbers, of which groups follow the first few, are such as a
-- script writes: no time after the latest, no amount above the most, and each rate above 0.
local function sane(s, first, size, rate)
  local n = #s / 8
  if n < first or (n - first) % size ~= 0 then
    return false
  end
  local x = {numbers('<' .. rep('d', n), s)}
  for i = 1, n do
    local most = i <= first and K.LATEST or K.MOST
    if not (x[i] > -most and x[i] < most) or i > first and (i - first) % size == rate and x[i] <= 0 then
      return false
    end
  end
  return true
end

if KEYS[2] then
  call('HDEL', KEYS[1], ARGV[2])
  call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
local all, values = call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  values[all[i]] = all[i + 1]
end
for f, s in pairs(values) do
  if f == 'm' then
    if #s < 8 or numbers('<d', s) == numbers('<d', ARGV[1]) and (#s ~= 32 or not sane(s, 4, 1)) then
      call('HDEL', KEYS[1], f)
    end
  elseif #f == 12 then
    local described = values['d' .. f] or ''
    if not sane(s, K.OWNER_DOUBLES, K.BUCKET_DOUBLES, 2) or not sane(described, 0, K.DESCRIPTION_DOUBLES) or
      (#s / 8 - K.OWNER_DOUBLES) / K.BUCKET_DOUBLES ~= #described / 8 / K.DESCRIPTION_DOUBLES then
      call('HDEL', KEYS[1], f, 'd' .. f)
    end
  end
end
return 1
