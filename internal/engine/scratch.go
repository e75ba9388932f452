package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A scratch is the memory for one call's ask and its settlement. A local backend is called under
// the lock, so that one scratch does for all calls of an account.
type scratch struct {
	costs   [1]backend.Amounts
	buckets []backend.Bucket
}

// askForOneLocked describes a call's own ask, with the slots that it takes.
func (s *scope) askForOneLocked(r *Reservation, m *scratch, now time.Time) ask {
	a := s.askLocked(now, m.buckets)
	m.costs[0], m.buckets = r.charge.cost, a.Buckets
	a.Costs, a.Flows, a.slots = m.costs[:], flowOf(&r.Call), s.takeSlotsLocked(now)
	return a
}

// mostSpare is how many of these an account keeps for calls to come.
const mostSpare = 64

// sentLocked returns the memory for where a call's buckets stand when it starts.
func (a *account) sentLocked() (sent []quota.Sent) {
	if n := len(a.spare); n > 0 {
		sent, a.spare = a.spare[n-1], a.spare[:n-1]
	}
	return sent
}

// overLocked gives that memory to the next call: nobody compares with an ended one any more.
func (r *Reservation) overLocked() {
	if a := r.scope.account; len(a.spare) < mostSpare && r.sent != nil {
		a.spare = append(a.spare, r.sent[:0])
	}
	r.sent = nil
}
