-- Redis has a library that packs numbers, miniredis has none. This is as much of
-- it as backend/redis uses: doubles, of either order of bytes, and strings of a length that
-- the format says. It stands before each script.
local struct = {}
do
  local byte, char, floor, frexp, ldexp = string.byte, string.char, math.floor, math.frexp, math.ldexp
  local huge = 1 / 0 -- math.huge is not, there

  function struct.pack(format, ...)
    local out, values, swap = {}, {...}, byte(format) == 62
    for i = 1, #format - 1 do
      local x, sign, mantissa, exponent = values[i], 0, 0, 0
      if x < 0 then
        sign, x = 128, -x
      end
      if x == huge then
        exponent = 2047
      elseif x > 0 then
        mantissa, exponent = frexp(x)
        mantissa, exponent = (mantissa * 2 - 1) * 2 ^ 52, exponent + 1022
      end
      local high, low = floor(mantissa / 2 ^ 32), mantissa % 2 ^ 32
      local s = char(low % 256, floor(low / 256) % 256, floor(low / 65536) % 256, floor(low / 16777216),
        high % 256, floor(high / 256) % 256, floor(high / 65536) + exponent % 16 * 16, sign + floor(exponent / 16))
      out[i] = swap and string.reverse(s) or s
    end
    return table.concat(out)
  end

  local function double(a, b, c, d, e, f, g, h)
    local sign = 1
    if h >= 128 then
      sign, h = -1, h - 128
    end
    local exponent = h * 16 + floor(g / 16)
    if exponent == 2047 then
      return sign * huge
    elseif exponent == 0 then
      return 0
    end
    local mantissa = (((((g % 16 * 256 + f) * 256 + e) * 256 + d) * 256 + c) * 256 + b) * 256 + a
    return sign * ldexp(1 + mantissa / 2 ^ 52, exponent - 1023)
  end

  function struct.unpack(format, s, at)
    local out, n, swap = {}, 0, byte(format) == 62
    at = at or 1
    for kind, size in string.gmatch(string.sub(format, 2), '([cd])(%d*)') do
      n = n + 1
      if kind == 'c' then
        size = tonumber(size)
        out[n], at = string.sub(s, at, at + size - 1), at + size
      else
        local a, b, c, d, e, f, g, h = byte(s, at, at + 7)
        if swap then
          out[n] = double(h, g, f, e, d, c, b, a)
        else
          out[n] = double(a, b, c, d, e, f, g, h)
        end
        at = at + 8
      end
    end
    out[n + 1] = at
    return unpack(out)
  end
end
