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
	// nothing is known. Nobody knows how long a call waits for a slot.
	Waited, Wait time.Duration
	Kind         quota.Kind
	Owner        string // of the limit
	Amount       int64
	Paced        bool // a pace is what it waits for longest
}

// warnEvery is how often the long waits of a scope are reported, all together.
const warnEvery = time.Minute

// A lookout lets callers of a scope report that they wait long: each on its own goroutine,
// where a panic of the hook has a caller to go to, but all by one timer, for there may be
// very many.
type lookout struct {
	timer    *time.Timer
	watching bool // the timer runs, for somebody waits or has within a minute
}

// watchLocked lets the lookout look after a queue that somebody has joined.
func (s *scope) watchLocked() {
	if s.account.engine.config.Warn == nil || s.watching {
		return
	}
	s.watching = true
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Hour, s.lookOut)
	}
	s.lookOutLocked()
}

func (s *scope) lookOut() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.lookOutLocked()
}

// lookOutLocked lets the one who has waited longest report it, if that is due, and sets the
// timer for the next look.
func (s *scope) lookOutLocked() {
	w := s.queue.oldestWaiter()
	if s.watching = w != nil; !s.watching {
		return
	}
	wait := time.Until(w.arrived.Add(s.account.engine.config.LongWait))
	if wait <= 0 {
		if len(w.signals) == 0 { // else it is not done with its last report
			w.signals <- report
		}
		wait = warnEvery
	}
	s.timer.Reset(min(wait, warnEvery)) // no longer: the scope stays in memory as long
}

// longWait describes a call that has been told to report its wait. ok is false if it waits no
// more.
func (s *scope) longWait(w *waiter) (info LongWait, ok bool) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if w.ended {
		s.lookOutLocked() // another one has to report
		return info, false
	}
	now := time.Now()
	ahead, wanted := s.queue.ahead(w, s.queue.len())
	b := s.expectedLocked(now, &w.charge.cost, &wanted)
	info = LongWait{
		Account: s.account.name, Model: s.model, Class: w.flow.Class, Ahead: ahead, Waiting: s.queue.len(),
		Waited: now.Sub(w.arrived), Wait: b.wait,
	}
	if held := s.paceLocked(now); held > b.wait {
		info.Wait, info.Paced = held, true
	} else if b.limit != nil {
		info.Kind, info.Owner, info.Amount = b.limit.Kind, b.limit.Owner, b.limit.Amount()
	}
	if o := s.lackedLocked(now); o != nil {
		info.Kind, info.Owner, info.Amount, info.Wait = quota.Concurrent, o.owner, o.limit, 0
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
	return s.pacedLocked(tooLate(p.reason, &p.charge, b, waited, p.until.Sub(w.arrived)), now, 0, false)
}
