package openaitest

import (
	"fmt"
	"sync"
	"time"
)

// accountName is the name of the buckets that all models draw from.
const accountName = "account"

// A pool is a named set of buckets: a model's own, a shared family's, or the
// account's.
type pool struct {
	name    string
	buckets [limitCount]*bucket // nil: never limited so far

	concurrent, inFlight int64
}

// A scope is one model: the pools it draws from, narrowest first, and its
// counts.
type scope struct {
	model   string
	pools   []*pool
	project *pool // that is one of them, or nil
	calls   Calls
}

// A ledger holds all buckets. Every operation is atomic over all of them.
type ledger struct {
	mu     sync.Mutex
	config *config
	epoch  time.Time
	scopes map[string]*scope
	shared map[string]*pool
	whole  *pool
	inputs bucket // what x-ratelimit-*-input-images reports; not enforced
}

// inputImageLimit is the limit captured in x-ratelimit-limit-input-images.
const inputImageLimit = 50_000

func newLedger(c *config) *ledger {
	l := &ledger{config: c, scopes: map[string]*scope{}, shared: map[string]*pool{}}
	l.whole = l.newPool(accountName, c.account, 0)
	for _, s := range c.shared {
		l.shared[s.name] = l.newPool(s.name, s.limits, 0)
	}
	l.inputs = *newBucket(IPM, 0)
	l.inputs.set(inputImageLimit, 0, false, nil)
	return l
}

func (l *ledger) newPool(name string, limits Limits, now int64) *pool {
	p := &pool{name: name}
	l.setPool(p, limits, now)
	return p
}

func (l *ledger) setPool(p *pool, limits Limits, now int64) {
	p.concurrent = limits.Concurrent
	for limit := range Limit(limitCount) {
		n, b := limits.of(limit), p.buckets[limit]
		if b == nil {
			if n == 0 {
				continue
			}
			b = newBucket(limit, now)
			p.buckets[limit] = b
		}
		if n != b.rate {
			b.set(n, now, l.config.keepRatio, l.config.subwindows)
		}
	}
}

// now returns the time since the epoch, which is the first time it is asked.
// l.mu must be held, so that time never runs backwards between operations.
func (l *ledger) now() (time.Time, int64) {
	now := time.Now()
	if l.epoch.IsZero() {
		l.epoch = now
	}
	return now, int64(now.Sub(l.epoch))
}

// scope returns the scope of a model, made on first use. l.mu must be held.
func (l *ledger) scope(model string, now int64) *scope {
	if s := l.scopes[model]; s != nil {
		return s
	}
	s := &scope{model: model}
	limits, own := l.config.models[model]
	for _, sh := range l.config.shared {
		for _, m := range sh.models {
			if m == model {
				s.pools = append(s.pools, l.shared[sh.name])
			}
		}
	}
	if !own && len(s.pools) == 0 {
		limits = l.config.models[""]
	}
	s.pools = append([]*pool{l.newPool(model, limits, now)}, s.pools...)
	if limits, ok := l.config.projects[model]; ok {
		s.project = l.newPool(model+" in its project", limits, now)
		s.pools = append(s.pools, s.project)
	}
	s.pools = append(s.pools, l.whole)
	l.scopes[model] = s
	return s
}

// each calls f for each bucket that limits the scope now, advanced to now.
func (s *scope) each(now int64, f func(*pool, *bucket)) {
	for _, p := range s.pools {
		for _, b := range p.buckets {
			if b != nil && b.on() {
				b.advance(now)
				f(p, b)
			}
		}
	}
}

// A throttle is why a call was not admitted: one bucket, as it stood.
type throttle struct {
	pool           string
	limit          Limit
	capacity, used int64
	requested      int64
	wait           time.Duration
	never          bool
}

// check returns why cost does not fit the scope's buckets now, or nil: the first
// bucket that it can never fit, else the one that takes longest; but first, that as many
// calls are in flight as may.
func (s *scope) check(cost Cost, now int64) *throttle {
	for _, p := range s.pools {
		if p.concurrent > 0 && p.inFlight >= p.concurrent {
			return &throttle{pool: p.name, limit: Concurrent, capacity: p.concurrent, used: p.inFlight, requested: 1, wait: time.Second}
		}
	}
	var worst *bucket
	var r throttle
	s.each(now, func(p *pool, b *bucket) {
		n := cost.of(b.limit.dimension())
		if n == 0 || r.never {
			return
		}
		never, wait := b.never(n), b.wait(n)
		if !never && (wait == 0 || wait <= r.wait) {
			return
		}
		worst = b
		r = throttle{
			pool: p.name, limit: b.limit, capacity: b.capacity, used: b.usedUp(),
			requested: n, wait: wait, never: never,
		}
	})
	if worst == nil {
		return nil
	}
	worst.totals.throttles++
	return &r
}

// admit charges cost to every bucket of the model, or to none and returns why.
// The snapshot is taken right after.
func (l *ledger) admit(c *Call, cost Cost) (at time.Time, snap snapshot, r *throttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, now := l.now()
	s := l.scope(c.Model, now)
	s.calls.Seen++
	if r = s.check(cost, now); r != nil {
		s.calls.Throttled++
		l.countThrottled(s, now)
		return at, l.snapshot(s, c, cost, now), r
	}
	s.calls.admitted(at)
	for _, p := range s.pools {
		p.inFlight++
	}
	s.each(now, func(_ *pool, b *bucket) {
		n := cost.of(b.limit.dimension())
		b.charge(n)
		b.totals.charged += n
	})
	l.inputs.advance(now)
	l.inputs.charge(c.inputImages)
	return at, l.snapshot(s, c, cost, now), nil
}

// throttle counts a call that is turned away without asking the buckets; reject
// one that was malformed.
func (l *ledger) throttle(c *Call, malformed bool) (time.Time, snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, now := l.now()
	s := l.scope(c.Model, now)
	s.calls.Seen++
	if malformed {
		s.calls.Rejected++
	} else {
		s.calls.Throttled++
	}
	l.countThrottled(s, now)
	return at, l.snapshot(s, c, Cost{}, now)
}

// countThrottled charges the request of a throttled call, where there is room or
// always. l.mu must be held.
func (l *ledger) countThrottled(s *scope, now int64) {
	s.each(now, func(_ *pool, b *bucket) {
		if b.limit.dimension() == requests && (l.config.countThrottled || b.wait(1) == 0) {
			b.charge(1)
			b.totals.throttledCharge++
		}
	})
}

// adjust ends an admitted call: cost goes back, debit is charged however little
// room there is.
func (l *ledger) adjust(model string, o Outcome, back Cost, debit int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, now := l.now()
	s := l.scope(model, now)
	s.calls.ended(o)
	for _, p := range s.pools {
		p.inFlight--
	}
	if back == (Cost{}) && debit == 0 {
		return
	}
	s.each(now, func(_ *pool, b *bucket) {
		d := b.limit.dimension()
		if n := back.of(d); n > 0 {
			b.meter.refund(n)
			b.totals.refunded += n
		}
		if d == tokens && debit > 0 {
			b.meter.charge(debit)
			b.totals.debited += debit
		}
	})
}

// Spend charges cost to a model's buckets as somebody else's call would be:
// foreign traffic. It reports whether it fitted; if not, nothing is charged.
func (s *Server) Spend(model string, cost Cost) bool {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	_, now := l.now()
	sc := l.scope(model, now)
	fits := true
	sc.each(now, func(_ *pool, b *bucket) {
		n := cost.of(b.limit.dimension())
		fits = fits && (n == 0 || !b.never(n) && b.wait(n) == 0)
	})
	if fits {
		sc.each(now, func(_ *pool, b *bucket) {
			n := cost.of(b.limit.dimension())
			b.charge(n)
			b.totals.foreign += n
		})
	}
	return fits
}

// SetLimits changes the limits of a model, or of the shared limits of that
// name, while the server runs. What is used survives, or its ratio does
// ([WithRatioKept]). It panics on a negative limit. A model that has not been
// seen starts with full buckets; model "" changes only models not seen yet.
func (s *Server) SetLimits(name string, limits Limits) {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	checkLimits(name, limits)
	_, now := l.now()
	if p := l.shared[name]; p != nil {
		l.setPool(p, limits, now)
		return
	}
	l.config.models[name] = limits
	if sc := l.scopes[name]; sc != nil {
		l.setPool(sc.pools[0], limits, now)
	}
}

// SetAccountLimits changes the limits that all models draw from together, as
// SetLimits does.
func (s *Server) SetAccountLimits(limits Limits) {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	checkLimits(accountName, limits)
	_, now := l.now()
	l.setPool(l.whole, limits, now)
}

func checkLimits(name string, limits Limits) {
	for l := range Limit(limitCount) {
		if limits.of(l) < 0 {
			panic(fmt.Sprintf("openaitest: negative %v for %q", l, name))
		}
	}
	if limits.Concurrent < 0 {
		panic(fmt.Sprintf("openaitest: negative %v for %q", Concurrent, name))
	}
}
