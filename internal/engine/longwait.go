package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A LongWait is one of the calls of a scope that have waited for long.
type LongWait struct {
	Account, Model string
	Class          string // of the call
	Ahead, Waiting int    // calls of this process before it, and in all
	// Waited is for how long it has waited, and Wait how long it still does at least, as far
	// as is known, for the limit of Amount. Its Kind is zero where a pause is the reason, or
	// nothing is known.
	Waited, Wait time.Duration
	Kind         quota.Kind
	Owner        string // of the limit
	Amount       int64
}

// warnEvery is how often the long waits of a scope are reported, all together.
const warnEvery = time.Minute

// longWait describes a call that waits. due is false if the scope's have been reported within
// a minute, or this one waits no more.
func (s *scope) longWait(w *waiter) (info LongWait, due bool) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now()
	if w.ended || now.Sub(s.warned) < warnEvery {
		return info, false
	}
	s.warned = now
	ahead, wanted := s.queue.ahead(w, s.queue.len())
	b := s.expectedLocked(now, &w.charge.cost, &wanted)
	info = LongWait{
		Account: s.account.name, Model: s.model, Class: w.flow.Class, Ahead: ahead, Waiting: s.queue.len(),
		Waited: now.Sub(w.arrived), Wait: b.wait,
	}
	if b.limit != nil {
		info.Kind, info.Owner, info.Amount = b.limit.Kind, b.limit.Owner, b.limit.Amount()
	}
	return info, true
}

// expired is the rejection of a call that must not wait longer.
func (s *scope) expired(w *waiter, p *place) *Rejection {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now()
	waited := now.Sub(w.arrived)
	_, wanted := s.queue.ahead(w, mostCounted)
	b := s.expectedLocked(now, &w.charge.cost, &wanted)
	b.wait += waited
	return tooLate(p.reason, &p.charge, b, waited, p.until.Sub(w.arrived))
}
