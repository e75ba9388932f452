package engine

import (
	"errors"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A Reason is why the engine rejects a call.
type Reason uint8

const (
	TooLarge      Reason = iota + 1 // the cost can never fit a limit
	Deadline                        // the call can't start before its context's deadline
	MaxWait                         // the call can't start within its longest wait
	BackendFailed                   // the budget can't be asked for
	Shutdown                        // the engine has been shut down
	QueueFull                       // as many calls of the scope wait as may
)

// A Rejection says why a call was rejected, before it was sent and without a charge.
type Rejection struct {
	Reason Reason
	Cause  error // the backend's, else nil
	Cost   backend.Amounts
	// Limit is what stands in the way; its Kind is zero where no limit does.
	Kind   quota.Kind
	Owner  string
	Amount int64
	Source string // where Amount comes from, Age ago
	Age    time.Duration
	// Wait is how long the call would have had to wait at least, as far as was known; it
	// has already waited for Waited, and might have for Allowed.
	Wait, Waited, Allowed time.Duration
	// Paced says that the pace of a slow start stands in the way, and no limit.
	Paced bool
	// Waiting is how many calls waited in a queue that was full, the oldest of them for
	// Oldest.
	Waiting int
	Oldest  time.Duration
}

// Error implements error; callers make a better message of the figures.
func (r *Rejection) Error() string { return "engine: the call is rejected" }

func (r *Rejection) stands(l *quota.Limit, now time.Time) {
	r.Kind, r.Owner, r.Amount = l.Kind, l.Owner, l.Amount()
	r.Source, r.Age = l.Source(now)
}

func tooLarge(c *charge, l *quota.Limit, now time.Time) *Rejection {
	r := &Rejection{Reason: TooLarge, Cost: c.cost}
	r.stands(l, now)
	return r
}

// tooLate rejects a call over time.
func tooLate(reason Reason, c *charge, least bound, waited, allowed time.Duration) *Rejection {
	r := &Rejection{Reason: reason, Cost: c.cost, Wait: least.wait, Waited: waited, Allowed: allowed}
	if least.limit != nil {
		r.stands(least.limit, time.Now())
	}
	return r
}

// pacedLocked lets the rejection of a call that no limit holds back say how long the pace of
// the scope's slow start does, or what the backend has said; line says that this was about
// the tickets of others alone.
func (s *scope) pacedLocked(r *Rejection, now time.Time, said time.Duration, line bool) *Rejection {
	if r.Kind.Name != "" || r.Wait > r.Waited { // a limit or a pause does
		return r
	}
	held := s.paceLocked(now)
	r.Paced = held > 0 || !line && s.quota.Pacing(now)
	r.Wait = r.Waited + max(said, held)
	return r
}

// lineAlone reports whether a cost fits all buckets as they were answered, so that nothing but
// the tickets of others stands before it.
func lineAlone(cost *backend.Amounts, asked *ask, answer *backend.Answer) bool {
	if len(answer.Levels) < len(asked.Buckets) {
		return false
	}
	for i := range asked.Buckets {
		b := &asked.Buckets[i]
		if need := float64(cost[b.Dimension]); answer.Levels[i] < min(need, b.Capacity()) {
			return false
		}
	}
	return true
}

// paceLocked is for how long a slow start lets no more calls into flight, unless one ends.
func (s *scope) paceLocked(now time.Time) time.Duration {
	if s.slotsLocked(now) != 0 {
		return 0
	}
	return s.quota.NextPace(now)
}

func backendFailed(c *charge, cause error) *Rejection {
	r := &Rejection{Reason: BackendFailed, Cost: c.cost, Cause: cause}
	if errors.Is(cause, backend.ErrTooLarge) {
		r.Reason = TooLarge // the backend knows a limit that we don't
	}
	return r
}
