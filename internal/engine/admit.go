package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
)

// A Call is a request for admission.
type Call struct {
	Account, Model string
	// Flow is on whose behalf the call asks.
	Flow             backend.Flow
	Requests, Images int64
	Body             predict.Body
	// Retry says that the call is another try of one that came before.
	Retry bool
	// Subwindows says that the server is of a kind that enforces limits in them.
	Subwindows bool
	// MaxWait is how long the call may wait; negative for as long as it takes.
	MaxWait time.Duration
	// Waiting, if not nil, is called once for a call that can't start at once, without
	// any lock.
	Waiting func(Waiting)
}

// Waiting is where a call stands that can't start at once.
type Waiting struct {
	Cost  backend.Amounts
	Ahead int           // calls of its flow in this process before it
	Wait  time.Duration // how long at least, as far as is known
	Slot  bool          // it finds no slot free
}

// Admit blocks until the reservation's Call may start, and charges it. It fails with a
// [*Rejection], or with the context's error where that ends first; nothing is charged then,
// and r must not be used again.
func (e *Engine) Admit(ctx context.Context, r *Reservation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A call that waits keeps its stack for long, so enter has returned by then.
	p, err := e.enter(ctx, r)
	if err == nil && p.waiter != nil {
		return r.await(ctx, &p)
	}
	return err
}

// mostAsking is how many calls of a scope may ask by themselves at a time. Those beyond it join
// the queue. It also bounds how many waiters a call has to look past for its place there.
const mostAsking = 1024

// An entry is a call on its way to a charge or to a place in the queue.
type entry struct {
	arrived time.Time
	known   <-chan struct{} // closed when what the call waits for is known
	begin   func()          // finds it out, if no other call does
	looked  bool            // at the buckets, for the last snapshot was no proof
	ask     ask
	first   bool      // the last ask had an answer
	since   time.Time // when the asks began to fail, should this one
	place   place     // in the queue, or none

	answered bool // the ask has been, before the caller has
	left     bool // who then waits for it no more

	lacks bool // slots, for which it waits before it asks
	waits int  // how many answers it has waited for
}

// A place is a call's place in the queue.
type place struct {
	waiter *waiter
	charge charge // as it joined: a grant writes the reservation's
	ahead  int
	wait   time.Duration // at least
	slot   bool          // it finds none free
	// until is when the call gives up, for the reason; zero for never.
	until  time.Time
	reason Reason
}

// A step is what a call does next on that way.
type step uint8

const (
	rejected step = iota
	again         // the account was forgotten meanwhile
	load          // wait until it is known what others know of the scope
	look          // wait until it is known how the buckets stand
	join          // the queue
	askAlone      // the backend, for nobody waits
	asked         // it has been
)

// enter takes the call in: it starts, is rejected, or has a place in the queue.
func (e *Engine) enter(ctx context.Context, r *Reservation) (place, error) {
	var en entry
	for {
		switch step, err := e.account(r.Call.Account).enter(ctx, r, &en); step {
		case rejected:
			return place{}, err
		case load, look:
			if begin := en.begin; begin != nil {
				en.begin = nil
				e.background(begin)
			}
			select {
			case <-en.known:
			case <-ctx.Done():
				return place{}, ctx.Err()
			}
		case join:
			return en.place, nil
		case askAlone:
			err := r.askAlone(ctx, &en)
			return en.place, err
		case asked:
			return en.place, r.admitted(ctx, &en, err)
		}
	}
}

// enter decides what the call does next.
func (a *account) enter(ctx context.Context, r *Reservation, en *entry) (step, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.forgotten {
		return again, nil
	}
	if en.arrived.IsZero() {
		en.arrived = time.Now() // under the lock, so that times come in order
	}
	c := &r.Call
	s := a.scopeLocked(a.engine.scopeOf(c))
	r.scope = s
	if c.Subwindows {
		s.quota.ExpectSubwindows()
	}
	if a.engine.keeper != nil && !s.loaded {
		if s.loading == nil {
			s.loading, en.begin = make(chan struct{}), s.load
		}
		en.known = s.loading
		return load, nil
	}
	s.predictLocked(c, &r.charge)
	if err := s.judgeLocked(ctx, r, en.arrived); err != nil {
		if !s.outdatedLocked(en.arrived, err) {
			return rejected, err
		}
		if !en.looked && s.away == nil {
			if s.looking == nil {
				s.looking, en.begin = make(chan struct{}), s.refresh
			}
			en.known, en.looked = s.looking, true
			return look, nil
		}
	}
	if s.hopelessLocked() {
		return rejected, backendFailed(&r.charge, s.away)
	}
	s.quota.DropDoubtful(&r.charge.cost, en.arrived)
	s.quota.Begin(en.arrived)
	if c.Body.Continues() {
		a.contexts.Touch(c.Body.Previous)
		a.contexts.Touch(c.Body.Conversation)
	}
	r.seq = s.queue.arrivals()
	lacking := s.roomLocked(1, en.arrived) == 0
	if !s.mayAskAloneLocked(lacking, en.arrived) {
		if c.MaxWait != 0 {
			if err := s.joinLocked(ctx, r, en); err != nil {
				return rejected, err
			}
			return join, nil
		}
		if s.away != nil {
			return rejected, backendFailed(&r.charge, s.away)
		}
		if o := s.unlentLocked(en.arrived); o != nil {
			return rejected, backendFailed(&r.charge, o.cause)
		}
		return rejected, s.pacedLocked(s.namingLocked(tooLate(MaxWait, &r.charge, bound{}, 0, 0), en.arrived), en.arrived, 0, false)
	}
	// Nobody waits, so one command to the backend may do.
	en.first, en.since = s.away == nil, s.failingLocked(en.arrived)
	s.asking++
	s.account.asking++
	if en.lacks = lacking; lacking {
		en.ask.slots = s.slots
		s.aloneLocked(s.slots, true, en.arrived)
		return askAlone, nil
	}
	if a.engine.local {
		return r.takeAtOnceLocked(ctx, en)
	}
	en.ask = s.askForOneLocked(r, new(scratch), en.arrived)
	return askAlone, nil
}

// mayAskAloneLocked reports whether a call may ask the backend by itself; else it joins the queue.
// lacking says that a limit on calls in flight leaves it no slot.
func (s *scope) mayAskAloneLocked(lacking bool, now time.Time) bool {
	switch {
	case s.queue.len() > 0, s.driver.running: // others come first
		return false
	case s.slotsLocked(now) == 0: // a slow start or a backoff lets no more calls into flight
		return false
	case s.away != nil && s.asking > 0: // the last ask failed, and one at a time tries again
		return false
	case s.asking >= mostAsking:
		return false
	case s.alone: // another call waits for a slot
		return false
	}
	return !lacking || s.mayGetLocked(now)
}

// takeAtOnceLocked asks a backend that needs no I/O for one call, under the lock: to give the
// lock up and take it again would cost more.
func (r *Reservation) takeAtOnceLocked(ctx context.Context, en *entry) (step, error) {
	a := r.scope.account
	e := a.engine
	en.ask = r.scope.askForOneLocked(r, &a.scratch, en.arrived)
	en.ask.Fresh, en.ask.Leave = true, r.Call.MaxWait == 0
	answer, err := e.take(&en.ask.Ask)
	release, err := r.answeredLocked(ctx, en, en.arrived, &answer, err)
	if release != nil {
		e.leave(release)
	}
	return asked, err
}

// judgeLocked rejects a call that provably can't start, or not in time.
func (s *scope) judgeLocked(ctx context.Context, r *Reservation, now time.Time) error {
	ch, maxWait := &r.charge, r.Call.MaxWait
	if s.account.engine.closed.Load() {
		return shutDown(ch)
	}
	if l := s.exceededLocked(&ch.cost, now); l != nil {
		return tooLarge(ch, l, now)
	}
	deadline, ok := ctx.Deadline()
	if !ok && maxWait <= 0 {
		return nil
	}
	least := s.earliestLocked(r, now)
	if ok {
		if allowed := s.latestLocked(now, deadline).Sub(now); least.wait > 0 && least.wait > allowed {
			return tooLate(Deadline, ch, least, 0, max(0, allowed))
		}
	}
	if maxWait > 0 && least.wait > maxWait {
		return tooLate(MaxWait, ch, least, 0, maxWait)
	}
	return nil
}

// joinLocked puts the call into the queue and sees to it that somebody asks for it. If the
// queue is full it rejects the call, or one of a flow that has more than its share of it.
func (s *scope) joinLocked(ctx context.Context, r *Reservation, en *entry) error {
	if s.account.engine.closed.Load() {
		return shutDown(&r.charge) // nobody looks after the queue again
	}
	if most := s.account.engine.config.MaxWaiting; most > 0 && s.queue.len() >= most {
		other := s.queue.oneOfMany(r.Call.Flow)
		if other == nil {
			return s.queueFullLocked(&r.charge)
		}
		rejection := s.queueFullLocked(&other.charge)
		rejection.Waited = time.Since(other.arrived)
		s.rejectLocked(other, rejection)
	}
	w := &waiter{
		seq: r.seq, arrived: en.arrived, retry: r.Call.Retry, charge: r.charge, reservation: r,
		signals: make(chan signal, 2),
	}
	r.queued = true
	s.account.reportLocked()
	if r.Call.Waiting != nil {
		before := s.queue.before(r.Call.Flow, r.Call.Retry, r.seq)
		en.place.wait = max(s.paceLocked(en.arrived), s.expectedLocked(time.Now(), &r.charge.cost, &before).wait)
		en.place.slot = en.lacks || s.lacksSlotLocked(en.arrived)
	}
	p := &en.place
	p.waiter, p.charge, p.ahead = w, r.charge, s.queue.join(w, r.Call.Flow)
	if deadline, ok := ctx.Deadline(); ok {
		p.reason, p.until = Deadline, s.latestLocked(en.arrived, deadline)
	}
	if d := r.Call.MaxWait; d > 0 {
		if t := en.arrived.Add(d); p.reason == 0 || t.Before(p.until) {
			p.reason, p.until = MaxWait, t
		}
	}
	s.watchLocked()
	s.comesLocked(w, p.ahead)
	s.driveLocked()
	return nil
}

func (s *scope) queueFullLocked(c *charge) *Rejection {
	now := time.Now()
	rejection := tooLate(QueueFull, c, s.expectedLocked(now, &c.cost, &s.queue.wanted), 0, 0)
	rejection.Waiting, rejection.Oldest = s.queue.len(), now.Sub(s.queue.oldest(now))
	return rejection
}

// askAlone asks the backend for a call that has nobody in line before it. If the context ends
// first, a grant that comes later is given back in the background.
func (r *Reservation) askAlone(ctx context.Context, en *entry) error {
	if r.scope.account.engine.local || ctx.Done() == nil {
		return r.takeAlone(ctx, en)
	}
	own := *en // which may outlive the caller's
	err := r.takeAside(ctx, &own)
	en.place = own.place
	return err
}

// takeAside is takeAlone for a caller that leaves when its context ends.
func (r *Reservation) takeAside(ctx context.Context, en *entry) error {
	done := make(chan error, 1)
	r.scope.account.engine.tasks.start(func() { done <- r.takeAlone(ctx, en) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if r.scope.abandon(en) {
			return ctx.Err()
		}
		return <-done
	}
}

// abandon lets a call's ask end without its caller, and reports false if it has been answered.
func (s *scope) abandon(en *entry) bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	en.left = !en.answered
	return en.left
}

// takeAlone asks the backend for one call. If that fails, the call has neither a place nor a
// charge.
func (r *Reservation) takeAlone(ctx context.Context, en *entry) error {
	e := r.scope.account.engine
	if en.lacks {
		if ok, err := r.awaitSlots(ctx, en); !ok {
			return err
		}
	}
	en.ask.Fresh, en.ask.Leave = true, r.Call.MaxWait == 0
	answer, took, err := e.timedTake(&en.ask.Ask)
	en.ask.took = took
	release, err := r.answered(ctx, en, &answer, err)
	if release != nil {
		e.leave(release)
	}
	return r.admitted(ctx, en, err)
}

// admitted returns the result of a call's own ask. What was granted only after the context's end
// is given back.
func (r *Reservation) admitted(ctx context.Context, en *entry, err error) error {
	if err == nil && en.place.waiter == nil && ctx.Err() != nil {
		r.discard()
		return ctx.Err()
	}
	return err
}

// answered is answeredLocked for whoever has asked without the lock.
func (r *Reservation) answered(ctx context.Context, en *entry, answer *backend.Answer, err error) (release *backend.Ask, _ error) {
	a := r.scope.account
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.answeredLocked(ctx, en, time.Now(), answer, err)
}

// answeredLocked takes in the answer to a call's own ask: the call starts, is rejected, or joins
// the queue. release is what takes the ask's ticket out of the line, if nobody stands for
// it any more.
func (r *Reservation) answeredLocked(ctx context.Context, en *entry, now time.Time, answer *backend.Answer, err error) (release *backend.Ask, _ error) {
	s := r.scope
	s.asking--
	s.account.asking--
	if err != nil || answer.Granted == 0 {
		giveBackLocked(en.ask.slots, 1, now)
	}
	release = s.movedLocked(&en.ask)
	s.stored = s.stored || release == nil && !en.ask.Leave && (err != nil || answer.Granted == 0)
	if err == nil {
		s.answeredLocked(now, &en.ask, answer)
	}
	failed := s.failedLocked(now, err, en.since, en.ask.took)
	lost := failed && !en.first && !s.hopesLocked(err, en.since, now)
	if lost {
		s.rejectAllLocked(err)
	}
	en.answered = true
	switch {
	case en.left && answer.Granted == 0:
		err = ctx.Err()
	case err != nil && (!failed || lost || en.ask.Leave):
		err = backendFailed(&r.charge, err)
	case failed:
		// The queue asks once more. If only the reply was lost, its charge stays.
		err = s.joinLocked(ctx, r, en)
	case answer.Granted > 0:
		s.grantLocked(now, r, &r.charge, &en.ask, answer, 0)
	case r.Call.MaxWait == 0:
		err = s.pacedLocked(tooLate(MaxWait, &r.charge, s.earliestLocked(r, now), 0, 0), now, answer.Wait, lineAlone(&r.charge.cost, &en.ask, answer))
	default:
		if err = s.judgeLocked(ctx, r, now); err == nil {
			err = s.joinLocked(ctx, r, en)
			en.place.wait = max(en.place.wait, answer.Wait)
		}
	}
	s.driveLocked()
	if release == nil {
		release = s.releaseLocked(now)
	}
	return release, err
}

// await waits in the queue until the call may start, or must not wait longer.
func (r *Reservation) await(ctx context.Context, p *place) error {
	w := p.waiter
	if r.Call.Waiting != nil {
		r.hook(w, func() { r.Call.Waiting(Waiting{Cost: p.charge.cost, Ahead: p.ahead, Wait: p.wait, Slot: p.slot}) })
	}
	var expired <-chan time.Time
	if p.reason != 0 {
		timer := time.NewTimer(time.Until(p.until))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case is := <-w.signals:
			if is == result {
				return w.err
			}
			if info, ok := r.scope.longWait(w); ok {
				r.hook(w, func() { r.scope.account.engine.config.Warn(info) })
			}
		case <-ctx.Done():
			return r.giveUp(w, ctx.Err())
		case <-expired:
			return r.giveUp(w, r.scope.naming(r.scope.expired(w, p)))
		}
	}
}

// hook calls one, and gives up if it panics.
func (r *Reservation) hook(w *waiter, call func()) {
	returned := false
	defer func() {
		if !returned {
			_ = r.giveUp(w, nil)
		}
	}()
	call()
	returned = true
}

// giveUp leaves the queue, and cancels the reservation if it has just been granted.
func (r *Reservation) giveUp(w *waiter, err error) error {
	if r.scope.leave(w) {
		return err
	}
	if w.err == nil {
		r.discard()
	}
	return err
}

// comesLocked has the driver ask again if a call that has just joined may start before those
// that it has asked for: where asks cost something, only a new head. Where there are several
// flows, a new one comes first, but no more asks are made for it than twenty a second. As many are
// made for calls that a ticket takes in.
func (s *scope) comesLocked(w *waiter, ahead int) {
	several := len(s.queue.waiting) > 1
	switch {
	case s.account.engine.local:
		if ahead < backend.MaxCosts {
			s.wakeLocked()
		}
	case !several && ahead == 0:
		s.wakeLocked()
	case !several && s.driver.grows, several && (ahead == 0 || s.queue.head() == w):
		s.wakeSoonLocked()
	}
}

// leave takes a waiter out of the queue, and reports whether it was still without a result.
func (s *scope) leave(w *waiter) bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if w.ended {
		return false
	}
	w.ended = true
	if len(w.signals) > 0 {
		defer s.lookOutLocked() // another one has to report
	}
	first := w == s.queue.head() || s.account.engine.local && s.queue.among(w, backend.MaxCosts)
	s.queue.withdraw(w)
	if first {
		s.wakeLocked()
	}
	return true
}
