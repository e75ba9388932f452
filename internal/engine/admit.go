package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
)

// A Call is one that asks to be admitted.
type Call struct {
	Account, Model   string
	Requests, Images int64
	Body             predict.Body
	// Retry says that the call is another try of one that came before.
	Retry bool
	// MaxWait is how long the call may wait; negative for as long as it takes.
	MaxWait time.Duration
	// Waiting, if not nil, is called once for a call that can't start at once, without
	// any lock.
	Waiting func(Waiting)
}

// Waiting is how a call stands that can't start at once.
type Waiting struct {
	Cost  backend.Amounts
	Ahead int           // calls of this process before it
	Wait  time.Duration // how long at least, as far as is known
}

// Admit blocks until the call may start, and charges it: r is its reservation then. It
// fails with a [*Rejection], or with the context's error where that ends first; nothing is
// charged then, and r must not be used.
func (e *Engine) Admit(ctx context.Context, c *Call, r *Reservation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	arrived := time.Now()
	for {
		entry, err := e.account(c.Account).enter(ctx, c, r, arrived)
		switch {
		case err != nil:
			return err
		case entry.again:
		case entry.load != nil:
			entry.scope.load(entry.load)
		case entry.loading != nil:
			select {
			case <-entry.loading:
			case <-ctx.Done():
				return ctx.Err()
			}
		case entry.place.waiter != nil:
			return entry.scope.await(ctx, c, &entry.place)
		default:
			return entry.scope.askAlone(ctx, c, r, &entry)
		}
	}
}

// An entry is how a call goes on from the door: again, after what others know has been
// loaded, in the queue, or by asking at once.
type entry struct {
	scope   *scope
	again   bool          // the account was forgotten meanwhile
	load    chan struct{} // to be closed when this call has loaded what others know
	loading chan struct{} // closed when another call has

	place place // in the queue, or none

	charge  charge
	arrived time.Time
	seq     uint64
	ask     ask
	first   bool // the last ask had an answer
}

// A place is a call's place in the queue.
type place struct {
	waiter *waiter
	ahead  int
	wait   time.Duration // at least
	// until is when the call gives up, for the reason; zero for never.
	until  time.Time
	reason Reason
}

// enter decides how a call goes on.
func (a *account) enter(ctx context.Context, c *Call, r *Reservation, arrived time.Time) (entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.forgotten {
		return entry{again: true}, nil
	}
	s := a.scopeLocked(c.Model)
	e := entry{scope: s, arrived: arrived}
	if a.engine.keeper != nil && !s.loaded {
		if s.loading == nil {
			s.loading = make(chan struct{})
			e.load = s.loading
		} else {
			e.loading = s.loading
		}
		return e, nil
	}
	e.charge = s.predictLocked(c)
	if err := s.judgeLocked(ctx, c, &e.charge, arrived); err != nil {
		return e, err
	}
	s.quota.DropDoubtful(&e.charge.cost, arrived)
	s.quota.Begin(arrived)
	if c.Body.Continues() {
		a.contexts.Touch(c.Body.Previous)
		a.contexts.Touch(c.Body.Conversation)
	}
	r.scope, r.body = s, c.Body
	e.seq = s.queue.arrivals()
	// While the backend is away, one call's ask speaks for those that come meanwhile.
	if s.queue.len() > 0 || s.driver.running || s.slotsLocked(arrived) == 0 || s.away != nil && s.asking > 0 {
		if c.MaxWait == 0 {
			if s.away != nil {
				return e, backendFailed(&e.charge, s.away)
			}
			return e, tooLate(MaxWait, &e.charge, bound{}, 0, 0)
		}
		e.place = s.joinLocked(ctx, c, r, &e)
		return e, nil
	}
	// Nobody waits: one call of the backend may do.
	e.first = s.away == nil
	s.asking++
	e.ask = s.askLocked(arrived)
	return e, nil
}

// judgeLocked rejects a call that provably can't start, or not in time.
func (s *scope) judgeLocked(ctx context.Context, c *Call, ch *charge, now time.Time) error {
	if s.account.engine.closed.Load() {
		return &Rejection{Reason: Shutdown, Cost: ch.cost}
	}
	if l := s.quota.Exceeded(&ch.cost, now); l != nil {
		return tooLarge(ch, l, now)
	}
	deadline, ok := ctx.Deadline()
	if !ok && c.MaxWait <= 0 {
		return nil
	}
	least := s.earliestLocked(ch, now)
	if ok {
		if allowed := s.latestLocked(now, deadline).Sub(now); least.wait > 0 && least.wait > allowed {
			return tooLate(Deadline, ch, least, 0, max(0, allowed))
		}
	}
	if c.MaxWait > 0 && least.wait > c.MaxWait {
		return tooLate(MaxWait, ch, least, 0, c.MaxWait)
	}
	return nil
}

// joinLocked puts the call into the queue and sees to it that somebody asks for it.
func (s *scope) joinLocked(ctx context.Context, c *Call, r *Reservation, e *entry) place {
	w := &waiter{
		seq: e.seq, arrived: e.arrived, retry: c.Retry, charge: e.charge, reservation: r,
		result: make(chan error, 1),
	}
	p := place{waiter: w, ahead: s.queue.join(w)}
	if deadline, ok := ctx.Deadline(); ok {
		p.reason, p.until = Deadline, s.latestLocked(e.arrived, deadline)
	}
	if c.MaxWait > 0 {
		if t := e.arrived.Add(c.MaxWait); p.reason == 0 || t.Before(p.until) {
			p.reason, p.until = MaxWait, t
		}
	}
	if p.ahead == 0 || s.account.engine.local && p.ahead < backend.MaxCosts {
		s.wakeLocked() // elsewhere only a new head can start earlier
	}
	s.driveLocked()
	return p
}

// askAlone asks the backend for a call that nobody waits before.
func (s *scope) askAlone(ctx context.Context, c *Call, r *Reservation, e *entry) error {
	engine := s.account.engine
	e.ask.Costs, e.ask.Fresh, e.ask.Leave = []backend.Amounts{e.charge.cost}, true, c.MaxWait == 0
	answer, err := engine.take(&e.ask.Ask)

	release, err := s.answered(ctx, c, r, e, &answer, err)
	if release != nil {
		engine.leave(release)
	}
	switch {
	case err != nil:
		return err
	case e.place.waiter != nil:
		return s.await(ctx, c, &e.place)
	case ctx.Err() != nil:
		r.discard()
		return ctx.Err()
	}
	return nil
}

// answered takes in the answer to a call's own ask: the call starts, is rejected, or joins
// the queue. release is what takes the ask's ticket out of the line, if nobody stands for
// it any more.
func (s *scope) answered(ctx context.Context, c *Call, r *Reservation, e *entry, answer *backend.Answer, err error) (release *backend.Ask, _ error) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now()
	s.asking--
	s.stored = s.stored || !e.ask.Leave && (err != nil || answer.Granted == 0)
	if err == nil {
		s.answeredLocked(&e.ask, answer)
	}
	failed := s.failedLocked(err)
	if failed && !e.first {
		s.rejectAllLocked(err)
	}
	switch {
	case err != nil && (!failed || !e.first || e.ask.Leave):
		err = backendFailed(&e.charge, err)
	case failed:
		// The queue asks once more. If only the reply was lost, its charge stays.
		err = nil
		e.place = s.joinLocked(ctx, c, r, e)
	case answer.Granted > 0:
		s.grantLocked(now, r, &e.charge, &e.ask, answer, 0)
	case c.MaxWait == 0:
		err = tooLate(MaxWait, &e.charge, s.earliestLocked(&e.charge, now), 0, 0)
	default:
		if err = s.judgeLocked(ctx, c, &e.charge, now); err == nil {
			e.place = s.joinLocked(ctx, c, r, e)
			e.place.wait = answer.Wait
		}
	}
	s.driveLocked()
	if a, ok := s.releaseTicketLocked(now); ok {
		release = &a.Ask
	}
	return release, err
}

// await waits in the queue until the call may start, or must not wait longer.
func (s *scope) await(ctx context.Context, c *Call, p *place) error {
	w := p.waiter
	// What it was estimated to cost when it came may be cut in the queue meanwhile.
	cost := w.charge.cost
	if c.Waiting != nil {
		c.Waiting(Waiting{Cost: cost, Ahead: p.ahead, Wait: p.wait})
	}
	var expired <-chan time.Time
	if p.reason != 0 {
		timer := time.NewTimer(time.Until(p.until))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		return s.giveUp(w, ctx.Err())
	case <-expired:
		return s.giveUp(w, tooLate(p.reason, &charge{cost: cost}, bound{}, time.Since(w.arrived), p.until.Sub(w.arrived)))
	case <-s.account.engine.done:
		return s.giveUp(w, &Rejection{Reason: Shutdown, Cost: cost})
	}
}

// giveUp leaves the queue, and cancels the reservation if it has just come.
func (s *scope) giveUp(w *waiter, err error) error {
	if s.leave(w) {
		return err
	}
	if <-w.result == nil {
		w.reservation.discard()
	}
	return err
}

// leave takes a waiter out of the queue, and reports whether it was still without a result.
func (s *scope) leave(w *waiter) bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if w.ended {
		return false
	}
	w.ended = true
	first := w == s.queue.head() || s.account.engine.local && s.queue.among(w, backend.MaxCosts)
	s.queue.leave(w)
	if first {
		s.wakeLocked()
	}
	return true
}
