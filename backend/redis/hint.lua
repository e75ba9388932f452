-- hint.lua works out when to ask again. It is internal/ledger's hint.go, operation for
-- operation.
--
-- What this part offers to others:
local hint
do
  -- behind_others reports whether the cost is held up by what is set aside for others.
  local function behind_others(cost)
    for k = 1, count do
      if aside[k] > 0 and not free(k, cost[dimension[k]]) then
        return true
      end
    end
    return false
  end

  -- longest is how long the ticket waits at most before it asks again.
  local function longest(held_up, wait, pause)
    local t = K.SOON
    if tickets > K.NEAR and held_up then
      t = math.max(K.SOON, math.min(K.SOON * (tickets - 1) / (K.NEAR - 1), wait))
    end
    return math.min(math.max(t, pause), K.LATE) * (1 - K.JITTER * (now % 1000) / 1000)
  end

  -- hint is when to ask again for the rest of the costs, of which the next must wait so
  -- long.
  function hint(next_cost, rest, t, pause)
    local all, held_up = wait(rest, true), behind_others(next_cost)
    local most = longest(held_up, t, pause)
    if all <= most then
      return all
    end
    if held_up then
      local begins = wait(next_cost, true)
      if begins < most and all - begins <= most / 2 then
        return begins * 3 / 4
      end
    end
    return most
  end
end
