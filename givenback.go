package ratelimiter

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// givenBack is how much of what the scope's calls are charged comes back in the
// end: what they have not used, and surplus that the server's figures show. Where
// that is next to nothing, the wait of a call is known when it comes.
type givenBack struct {
	charged, back float64
	calls         int
}

const (
	givenBackFade = 0.99 // with each call
	givenBackFew  = 16   // calls say nothing yet
	nothingMuch   = 0.02
)

// settled takes in the end of a call. Some of its charge may have come back, or
// more been charged.
func (g *givenBack) settled(charged, back int64) {
	g.charged = g.charged*givenBackFade + float64(charged)
	g.back = g.back*givenBackFade + float64(max(0, back))
	g.calls++
}

// surplus takes in what came back without a call.
func (g *givenBack) surplus(amount float64) { g.back += max(0, amount) }

// little is the part of a limit by which it does not matter to be wrong until the next
// answer's headers tell.
const little = 0.01

// isLittle reports whether so many tokens are, of every limit of the call.
func (r *Reservation) isLittle(tokens int64) bool {
	r.scope.account.mu.Lock()
	defer r.scope.account.mu.Unlock()
	for _, sent := range r.sent {
		if l := sent.limit; l.dimension == backend.Tokens && float64(tokens) > little*float64(l.amount()) {
			return false
		}
	}
	return true
}

// kept takes in that the call has not used so much of the output that it declared, as
// far as that is sure, and reports whether the server keeps it.
func (r *Reservation) kept(unused int64, sure bool) (kept bool) {
	if unused <= 0 || r.estimate.undeclared {
		return false
	}
	if r.estimate.continues() || !sure {
		unused = 0 // who knows which part it is: what stands on the server was a guess too
	}
	now := time.Now()
	r.scope.account.mu.Lock()
	defer r.scope.account.mu.Unlock()
	for _, sent := range r.sent {
		if l := sent.limit; l.dimension == backend.Tokens && l.whole == nil {
			kept = l.gauge.Unused(now, float64(unused), float64(l.amount())) || kept
		}
	}
	return kept
}

func (g *givenBack) isNothing() bool {
	return g.calls >= givenBackFew && g.back <= nothingMuch*g.charged
}
