package quota

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// refunds is how much of what the scope's calls are charged comes back in the end: what
// they have not used, and the surplus that the server's figures show. Where that is next
// to nothing, the wait of a call is known when it comes.
type refunds struct {
	charged, back float64
	calls         int
}

const (
	refundsFade = 0.99 // with each call
	refundsFew  = 16   // calls say nothing yet
	nothingMuch = 0.02
)

func (r *refunds) settled(charged, back int64) {
	r.charged = r.charged*refundsFade + float64(charged)
	r.back = r.back*refundsFade + float64(max(0, back))
	r.calls = min(r.calls+1, refundsFew)
}

func (r *refunds) surplus(amount float64) { r.back += amount }

// Settled takes in the end of a call: what it was charged in tokens, and what of it came
// back (negative where more was charged).
func (s *Set) Settled(charged, back int64) { s.refunds.settled(charged, back) }

// RefundsNothing reports whether next to nothing of what calls are charged in tokens
// comes back.
func (s *Set) RefundsNothing() bool {
	return s.refunds.calls >= refundsFew && s.refunds.back <= nothingMuch*s.refunds.charged
}

// little is the part of a limit by which it does not matter to be wrong until the next
// response's headers correct it.
const little = 0.01

// IsLittle reports whether so many tokens are, of every limit of the call.
func (r *Request) IsLittle(tokens int64) bool {
	for i := range r.Sent {
		if l := r.Sent[i].limit; l.Dimension == backend.Tokens && float64(tokens) > little*float64(l.Amount()) {
			return false
		}
	}
	return true
}

// Unused takes in that a call has not used so much of the output that it declared, and
// reports whether the server keeps that.
func (r *Request) Unused(now time.Time, tokens int64) (kept bool) {
	for i := range r.Sent {
		if l := r.Sent[i].limit; l.Dimension == backend.Tokens && l.whole == nil {
			kept = l.tracker.Unused(now, r.Sent[i].At, float64(tokens), float64(l.Amount())) || kept
		}
	}
	return kept
}

// Returned takes in that a call has got back so many tokens, which are no output that it had
// declared and not used.
func (r *Request) Returned(tokens int64) {
	for i := range r.Sent {
		if l := r.Sent[i].limit; l.Dimension == backend.Tokens && l.whole == nil {
			l.tracker.Returned(float64(tokens))
		}
	}
}
