package ledger

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// When a ticket asks again where nothing tells it of what is given back.
const (
	// Soon is how long a ticket near the one that holds it up waits at most, for
	// anything may be given back meanwhile. It is also how long a call may be kept
	// waiting by one that starts before its turn.
	Soon = 100 * time.Millisecond
	// Late is how long any ticket waits at most, since it must ask within its lease.
	Late = 800 * time.Millisecond
	// Near is how many tickets stand near: those behind them wait as much longer as
	// there are more.
	Near = 5
	// Jitter is the part by which waits vary. In a fixed rhythm, those who always ask
	// after a long gap would always find more than the others.
	Jitter = 0.1
)

// hint is when to ask again for the rest of the costs, of which the next must wait so
// long: when all of them fit, as far as can be told, or sooner.
func (v *survey) hint(next, rest backend.Amounts, wait, pause float64) float64 {
	all, _ := v.wait(rest, true)
	longest := v.longest(next, wait, pause)
	if all <= longest {
		return all
	}
	// A ticket that comes in the middle of its turn gets a part of it, and must come
	// again. So it comes before its turn begins, if that ends soon after.
	if v.behind(next) {
		begins, _ := v.wait(next, true)
		if begins < longest && all-begins <= longest/2 {
			return begins * 3 / 4
		}
	}
	return longest
}

// longest is how long the ticket waits at most before it asks again.
func (v *survey) longest(next backend.Amounts, wait, pause float64) float64 {
	soon, late := float64(Micros(Soon)), float64(Micros(Late))
	longest := soon
	if v.tickets > Near && v.behind(next) {
		longest = max(soon, min(soon*float64(v.tickets-1)/(Near-1), wait))
	}
	longest = min(max(longest, pause), late)
	vary := 1 - float64(Jitter*float64(v.now%1000)/1000) // by the last digits of the time
	return longest * vary
}

// behind reports whether the cost is held up by what is set aside for others.
func (v *survey) behind(cost backend.Amounts) bool {
	for k, b := range v.buckets {
		if v.asideOf(k) > 0 && !v.free(k, float64(cost[b.dimension])) {
			return true
		}
	}
	return false
}
