package ratelimiter

import (
	"fmt"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A scope is an account's model: the limits it draws from, and the queue of
// this process for them. It is guarded by its account's lock.
type scope struct {
	account *account
	model   string
	owner   string // of its own buckets
	line    string
	limits  []*limit

	queue
	opening  calibration.SlowStart
	inFlight int
	last     snapshot
	sends    [backend.Dimensions]calibration.Sends // of this scope in this process
	sent     [backend.Dimensions]float64           // in all
	headers  time.Duration                         // the shortest time to a response's headers
	output   output
	back     givenBack
	rumours  [backend.Dimensions]rumour // of other windows

	meeting  chan struct{} // closed when it has been done
	met      bool          // what others have learned is known
	exchange exchange
}

// limitKey identifies a limit within an account.
type limitKey struct {
	owner string
	name  string
}

// The names of owners and lines. A model's and a family's names can't collide.
const (
	accountOwner = "account"
	modelPrefix  = "model:"
	familyPrefix = "family:"
)

// newScope sets a scope up from the configuration. a.mu must be held.
func (a *account) newScope(model string) *scope {
	s := &scope{account: a, model: model, owner: modelPrefix + model}
	s.line = s.owner
	c := a.limiter.config
	if limits, ok := c.models[model]; ok {
		s.limits = append(s.limits, configured(s.owner, limits)...)
	}
	for name, f := range c.families {
		for _, m := range f.models {
			if m == model {
				s.line = familyPrefix + name
				s.limits = append(s.limits, a.share(s.line, f.limits)...)
			}
		}
	}
	if c.limits != nil {
		s.line = accountOwner
		s.limits = append(s.limits, a.share(accountOwner, *c.limits)...)
	}
	// Even if the scope was forgotten and met again: the backend may remember what
	// it has answered to the ticket of the one before.
	s.queue.ticket = fmt.Sprintf("%s/%d", a.limiter.id, a.limiter.scopes.Add(1))
	return s
}

// configured turns limits into a limit for each that is set.
func configured(owner string, limits Limits) []*limit {
	var out []*limit
	for i, n := range limits.each() {
		if n > 0 {
			l := newLimit(owner, windows[i])
			l.configured = n
			if l.period == minute {
				l.burst = limits.Burst
			}
			out = append(out, l)
		}
	}
	return out
}

// share is configured for an owner that several scopes draw from: they get the
// same limits.
func (a *account) share(owner string, limits Limits) []*limit {
	out := configured(owner, limits)
	for i, l := range out {
		key := limitKey{owner, l.name}
		if known := a.shared[key]; known != nil {
			out[i] = known
		} else {
			a.shared[key] = l
		}
	}
	return out
}

// An ask is what the backend is asked, and the limits whose buckets it begins
// with; those of an opening's pace follow.
type ask struct {
	backend.Ask
	limits []*limit
}

// ask describes what the scope draws from at present. s.account.mu must be held.
func (s *scope) ask(now time.Time) ask {
	return ask{backend.Ask{
		Account: s.account.name,
		Line:    s.line,
		Scope:   s.owner,
		Ticket:  s.ticket,
		Buckets: s.buckets(now, s.limits, true),
	}, slices.Clip(s.limits)}
}

// buckets describes limits of the scope, and after them what else holds calls
// back if that is wanted: the pace of an opening, and ramps. s.account.mu must be
// held.
func (s *scope) buckets(now time.Time, limits []*limit, paced bool) []backend.Bucket {
	out := make([]backend.Bucket, len(limits), 2*len(limits))
	for i, l := range limits {
		out[i] = l.bucket(now)
	}
	if !paced {
		return out
	}
	if s.opening.FleetHalfOpen(now) {
		out = append(out, s.scout())
	}
	factor := s.opening.Factor(now)
	for _, l := range limits {
		if l.period != minute || l.whole != nil {
			continue
		}
		if factor > 0 {
			out = append(out, s.pace(l, factor))
		}
		if rate := l.ramp.Rate(now, float64(l.amount())); rate > 0 {
			out = append(out, s.slope(l, rate))
		}
	}
	return out
}

// slope is the bucket that holds back traffic which may only grow slowly. Its
// limit is that of the limit, lest a large cost seem impossible.
func (s *scope) slope(l *limit, rate float64) backend.Bucket {
	return backend.Bucket{
		Owner:     l.owner,
		Name:      "ramp/" + l.name,
		Dimension: l.dimension,
		Limit:     l.amount(),
		Period:    time.Duration(float64(l.period) * float64(l.amount()) / rate),
		Burst:     time.Second,
	}
}

// pace is the bucket that holds back an opening: a multiple of the limit,
// which may be used for a moment's worth at once.
func (s *scope) pace(l *limit, factor float64) backend.Bucket {
	return backend.Bucket{
		Owner:     s.owner,
		Name:      "pace/" + l.owner + "/" + l.name,
		Dimension: l.dimension,
		Limit:     int64(min(largest, float64(l.amount())*factor)),
		Period:    l.period,
		Burst:     calibration.PaceBurst,
	}
}

// scout is the bucket that lets one call of the whole fleet go first.
func (s *scope) scout() backend.Bucket {
	const many = 1 << 24 // lest a cost seem impossible
	return backend.Bucket{
		Owner:     s.owner,
		Name:      "scout",
		Dimension: backend.Requests,
		Limit:     many,
		Period:    many * calibration.ProbeTime,
		Burst:     calibration.ProbeTime,
	}
}

// tooLarge returns the limit that the cost can never fit. One that only one answer has
// told, or that none has confirmed for a while, is forgotten instead: if that was wrong,
// or it was raised, only a call that is sent finds out.
func (s *scope) tooLarge(cost backend.Amounts, now time.Time) *limit {
	for _, l := range slices.Clone(s.limits) {
		switch {
		case cost[l.dimension] <= l.amount():
		case l.amount() == l.configured || l.sure && now.Sub(l.learnedAt) < belief:
			return l
		default:
			s.forget(l)
			return s.tooLarge(cost, now)
		}
	}
	return nil
}

// belief is how long a learned limit is certain enough to refuse a call for.
const belief = time.Minute

// forget drops what was learned of a limit.
func (s *scope) forget(l *limit) {
	if l.whole != nil {
		l = l.whole
	}
	if l.configured > 0 {
		l.learned = calibration.LimitEstimate{}
		return
	}
	s.limits = slices.DeleteFunc(s.limits, func(x *limit) bool { return x == l || x.whole == l })
}

// slots is how many more calls the opening lets into flight: −1 for any number.
func (s *scope) slots(now time.Time) int {
	if first, wait := s.opening.HalfOpen(now); first && wait > 0 {
		return 0
	} else if first {
		return max(0, 1-s.asking)
	}
	if s.complete() {
		return -1
	}
	calls := s.opening.Calls(now)
	if calls == 0 {
		return -1
	}
	return max(0, calls-s.inFlight-s.asking)
}

// complete reports whether limits per minute of requests and tokens are known,
// so that nothing but them needs to hold the calls back.
func (s *scope) complete() bool {
	var requests, tokens bool
	for _, l := range s.limits {
		requests = requests || l.period == minute && l.dimension == backend.Requests
		tokens = tokens || l.period == minute && l.dimension == backend.Tokens
	}
	return requests && tokens
}

// find returns the limit that the server means when it speaks of this amount to
// this model: the model's own, else its family's. Of an account's limits it
// speaks only where the amount is theirs: it knows nothing of those that we
// have set for ourselves.
func (s *scope) find(d backend.Dimension, period time.Duration, amount int64) *limit {
	for _, l := range s.limits {
		if l.dimension == d && l.period == period && l.whole == nil && (l.owner != accountOwner || l.is(amount)) {
			return l
		}
	}
	return nil
}
