-- hint.lua works out when to ask again. It is internal/ledger's hint.go, operation for
-- operation.
--
-- What this part offers to others:
local hint
do
  -- behind reports by how many tickets ahead the cost is held up, and whether it is.
  local function behind(cost)
    local tickets, held = 0, false
    for k = 1, count do
      if ahead[k] and ahead[k].most > 0 and not free(k, cost[dimension[k]]) then
        tickets, held = math.max(tickets, ahead[k].tickets), true
      end
    end
    return tickets, held
  end

  -- longest is how long the ticket waits at most before it asks again.
  local function longest(tickets, wait, pause)
    local t = K.SOON
    if tickets > K.NEAR then
      t = math.max(K.SOON, math.min(K.SOON * (tickets - 1) / (K.NEAR - 1), wait))
    end
    return math.min(math.max(t, pause), K.LATE) * (1 - K.JITTER * (now % 1000) / 1000)
  end

  -- hint is when to ask again for the rest of the costs, of which the next must wait so
  -- long.
  function hint(next_cost, rest, t, pause)
    local all, tickets, held = wait(rest, true), behind(next_cost)
    local most = longest(tickets, t, pause)
    if all <= most then
      return all
    end
    if held then
      local begins = wait(next_cost, true)
      if begins < most and all - begins <= most / 2 then
        return begins * 3 / 4
      end
    end
    return most
  end
end
