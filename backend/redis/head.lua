-- head.lua opens every script: arguments, state and time. K.NAME is a number of
-- constants.go.
--
-- KEYS[1]   the account: a hash of owners, by digest
-- ARGV[1]   numbers, packed as doubles: version, now (0: Redis's clock), how many
--           owners; the earliest and the latest that the account's time can be, as far
--           as the caller knows; the earliest answer that its starts go back to; and
--           what fast.lua wants, if anything
-- ARGV[2]   the field of the line
-- ARGV[3]   the ticket
-- ARGV[4]   the ticket's buckets, as line.lua wants them
-- ARGV[5]   the fields of the owners, the one whose pauses hold first
-- ARGV[-2]  the buckets, and ARGV[-1] numbers, as core.lua wants them
--
-- The state of an owner is packed doubles: the time up to which its buckets have
-- refilled, the time since which charges are settled, the end of its pause, and when
-- its youngest bucket began; for each bucket a digest of its description, its rate per
-- microsecond, what is used of it, what was charged to it in all, and corrected. The
-- descriptions, and when each bucket began, hardly ever change, and stand in a field
-- of their own that not every call has to read. All times are the account's: Redis's,
-- less the steps that its clock has taken.
--
-- What was read is input. What makes no sense is overwritten where a script comes to it; or
-- it is an error, or an answer that makes no sense, and mend.lua drops it.
local call, rep, pack, numbers = redis.call, string.rep, struct.pack, struct.unpack
local ARGV, n = ARGV, #ARGV[1]
local f = {numbers(n == 8 * (K.HEAD_DOUBLES + 2 * K.FAST_DOUBLES) and '<dddddddddddddd' or '<' .. rep('d', n / 8), ARGV[1])}
local now, owned = f[2], f[3]

-- One read for everything that a call without a line needs. 'm' holds the
-- version of the format, when the hash expires by Redis's clock, by how much that is
-- ahead of the account's, and when the account's began.
local fields
if owned == 1 then
  fields = call('HMGET', KEYS[1], 'm', ARGV[2], ARGV[5])
else
  fields = call('HMGET', KEYS[1], 'm', ARGV[2], unpack(ARGV, 5, 4 + owned))
end
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local shown, expires, offset, born = now, 0, 0, now
do
  local format = fields[1] and numbers('<d', fields[1])
  if format == f[1] then
    format, expires, offset, born = numbers('<dddd', fields[1])
    if not (offset > -K.LATEST and offset < K.LATEST) then
      offset = 0
    end
    now = now - offset
  elseif format and format > 0 and format < K.VERSIONS and format % 1 == 0 then
    return redis.error_reply('RATELIMITVERSION ' .. format)
  end
end
