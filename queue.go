package ratelimiter

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A queue is the line of this process's calls for one scope. The calls at its
// head ask the backend as one ticket; the goroutine that asks for them runs
// only while somebody waits.
type queue struct {
	ticket  string
	number  uint64
	seq     uint64
	waiting []*waiter
	wanted  backend.Amounts // by all who wait
	asking  int             // fast asks under way
	stored  bool            // a fast ask has left a ticket
	running bool            // the goroutine that asks for the queue
	kick    chan struct{}
	away    error // why the last ask had no answer

	turn int // how many calls are left of the ticket's turn, while it is in line
	full int // how many asks in a row got all they wanted
}

// turnTime is how long what a ticket takes in a turn needs to refill: enough to
// keep asks few, and little enough for a call that waits behind many tickets.
const turnTime = 100 * time.Millisecond

// A waiter is a call in the queue.
type waiter struct {
	seq      uint64
	arrived  time.Time
	retry    bool
	estimate estimate
	left     bool // it no longer waits
	result   chan result
}

// A result is what a waiter gets: a reservation or a refusal.
type result struct {
	reservation *Reservation
	err         error
}

// insert puts w where it belongs: in the order of arrival, but a retry near the
// front, at most one before each fresh call. The head, whose cost is on the
// ticket, keeps its place.
func (q *queue) insert(w *waiter) {
	at := len(q.waiting)
	for at > 0 && q.waiting[at-1].seq > w.seq && !q.waiting[at-1].retry {
		at--
	}
	if w.retry {
		for i := 1; i < at; i++ {
			if !q.waiting[i].retry && !q.waiting[i-1].retry {
				at = i
				break
			}
		}
	}
	q.waiting = slices.Insert(q.waiting, at, w)
	for d, n := range w.estimate.cost {
		q.wanted[d] += n
	}
}

// join puts w into the queue and sees to it that somebody asks for it.
// s.account.mu must be held.
func (s *scope) join(w *waiter) (ahead int) {
	s.insert(w)
	at := slices.Index(s.waiting, w)
	s.moved(at)
	s.start()
	return at
}

// moved is called when a call has come to or gone from this place in the
// queue. Where asking costs nothing, the ticket is kept up to date; elsewhere
// only a new head can start earlier. s.account.mu must be held.
func (s *scope) moved(at int) {
	if at == 0 || s.account.limiter.local && at < backend.MaxCosts {
		s.wake()
	}
}

// eased is called when an answer has come or a call has ended. Where asking costs
// something, what was given back is found at the next look, which is soon enough;
// but an opening holds calls back in this process. s.account.mu must be held.
func (s *scope) eased(now time.Time) {
	if s.account.limiter.local || s.opening.Factor(now) > 0 {
		s.wake()
	}
}

// failed notes whether the backend has answered, and reports whether it has not.
// s.account.mu must be held.
func (s *scope) failed(err error) bool {
	if errors.Is(err, backend.ErrTooLarge) {
		err = nil
	}
	s.away = err
	return err != nil
}

// refuseAll refuses all who wait, for two asks in a row have failed: they would
// not fare better one by one, and each of them takes long. s.account.mu must be
// held.
func (s *scope) refuseAll(cause error) {
	for _, w := range slices.Clone(s.queue.waiting) {
		s.dismiss(w, s.failure(cause, w.estimate))
	}
}

// dismiss refuses one who waits. s.account.mu must be held.
func (s *scope) dismiss(w *waiter, err error) {
	s.queue.remove(w)
	w.left = true
	w.result <- result{err: err}
}

// remove takes w out and returns where it stood, or −1.
func (q *queue) remove(w *waiter) int {
	at := slices.Index(q.waiting, w)
	if at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
		for d, n := range w.estimate.cost {
			q.wanted[d] -= n
		}
	}
	return at
}

// wake lets the goroutine of the queue look again.
func (q *queue) wake() {
	if q.running {
		select {
		case q.kick <- struct{}{}:
		default:
		}
	}
}

// start runs the queue if somebody waits. Fast asks go first, unless they may take
// as long as one that has just failed. s.account.mu must be held.
func (s *scope) start() {
	if s.running || s.asking > 0 && s.away == nil || len(s.queue.waiting) == 0 {
		return
	}
	s.running = true
	s.kick = make(chan struct{}, 1)
	s.account.limiter.work.start(func() { s.run(s.kick) })
}

// run asks for the calls at the head of the queue until nobody waits.
func (s *scope) run(kick <-chan struct{}) {
	a := s.account
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		a.mu.Lock()
		batch := s.batch(now)
		ask := s.ask(now)
		s.number++
		ask.Number = s.number
		if len(s.queue.waiting) == 0 {
			s.running, s.turn = false, 0
			a.mu.Unlock()
			s.tidy()
			return
		}
		next := s.opening.Next(now)
		opening := s.opening.Factor(now) > 0
		first := s.away == nil
		a.mu.Unlock()

		var hint time.Duration
		var changed <-chan struct{}
		if len(batch) > 0 {
			for _, w := range batch {
				ask.Costs = append(ask.Costs, w.estimate.cost)
			}
			answer, err := a.limiter.take(ask.Ask)
			if first && err != nil && !errors.Is(err, backend.ErrTooLarge) {
				// Once more, with the same number: if only the reply was lost,
				// or this process stood still, nothing is charged twice.
				answer, err = a.limiter.take(ask.Ask)
			}
			s.deliver(batch, ask, answer, err)
			if answer.Granted == len(batch) || err != nil {
				continue
			}
			hint, changed = answer.Hint, answer.Changed
		} else {
			hint = next
		}
		if opening {
			hint = min(hint, next)
		}
		timer.Reset(hint)
		select {
		case <-timer.C:
		case <-changed:
		case <-kick:
		}
	}
}

// batch returns the calls that ask next, after refusing those at the head that
// have become impossible: those that are left of the ticket's turn, or a new one.
// A turn need not be short where there is plenty for all. s.account.mu must be held.
func (s *scope) batch(now time.Time) []*waiter {
	n := backend.MaxCosts
	if s.turn > 0 {
		n = s.turn
	}
	short := s.turn == 0 && s.full < 2
	if slots := s.slots(now); slots >= 0 {
		n = min(n, slots)
	}
	var batch []*waiter
	var total backend.Amounts
	for _, w := range slices.Clone(s.queue.waiting) {
		if len(batch) == n || short && s.refill(total) >= turnTime {
			break
		}
		s.fit(w)
		if l := s.tooLarge(w.estimate.cost, now); l != nil {
			s.dismiss(w, s.refusal(ErrTooLarge, w.estimate, l, now))
			continue
		}
		batch = append(batch, w)
		for d, c := range w.estimate.cost {
			total[d] += c
		}
	}
	return batch
}

// fit cuts the guesses of one who waits to limits that were learned meanwhile.
func (s *scope) fit(w *waiter) {
	was := w.estimate.cost[backend.Tokens]
	w.estimate.fit(s.limits)
	s.wanted[backend.Tokens] -= was - w.estimate.cost[backend.Tokens]
}

// refill is how long the scope's limits take to refill the amounts.
func (s *scope) refill(amounts backend.Amounts) (longest time.Duration) {
	for _, l := range s.limits {
		longest = max(longest, time.Duration(float64(amounts[l.dimension])*float64(l.period)/float64(l.amount())))
	}
	return longest
}

// deliver hands the backend's answer to the calls that asked.
func (s *scope) deliver(batch []*waiter, ask ask, answer backend.Answer, err error) {
	now := time.Now()
	a := s.account
	a.mu.Lock()
	s.note(ask, answer, err)
	s.stored = err != nil || answer.Granted < len(batch)
	s.full++
	if s.turn = len(batch) - answer.Granted; s.turn > 0 {
		s.full = 0
	}
	switch {
	case s.failed(err):
		s.turn = 0
		s.refuseAll(err)
	case err == nil:
	case len(batch) > 1:
		s.turn = 1 // which of them is too large shows when they ask one by one
	default:
		s.turn = 0
		if w := batch[0]; !w.left {
			s.dismiss(w, s.failure(err, w.estimate))
		}
	}
	var abandoned []*Reservation
	for i, w := range batch[:answer.Granted] {
		r := s.reserve(now, w.estimate, ask, answer, i)
		if w.left {
			abandoned = append(abandoned, r)
			continue
		}
		s.queue.remove(w)
		w.left = true
		w.result <- result{reservation: r}
	}
	a.mu.Unlock()
	for _, r := range abandoned {
		r.discard()
	}
}

// acquire waits for the turn of a call of the model and for the budget.
func (a *account) acquire(ctx context.Context, model string, e estimate, retry bool) (*Reservation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, arrived := a.limiter, time.Now()
	maxWait := l.config.maxWait
	if d, ok := value[time.Duration](ctx, maxWaitKey); ok {
		maxWait = d
	}

	s, err := a.meet(ctx, model)
	if err != nil {
		return nil, err
	}
	e.expect(s)
	if err := s.refuse(ctx, e, arrived, maxWait); err != nil {
		a.mu.Unlock()
		return nil, err
	}
	s.opening.Begin(arrived)
	s.seq++
	w := &waiter{seq: s.seq, arrived: arrived, retry: retry, estimate: e, result: make(chan result, 1)}
	// While the backend is away, one call's ask speaks for those that come meanwhile.
	if len(s.waiting) > 0 || s.running || s.slots(arrived) == 0 || s.away != nil && s.asking > 0 {
		if maxWait == 0 {
			err := s.late(ErrMaxWait, e, bound{}, 0, 0)
			if s.away != nil {
				err = s.failure(s.away, e)
			}
			a.mu.Unlock()
			return nil, err
		}
		ahead := s.join(w)
		a.mu.Unlock()
		return s.await(ctx, w, e, arrived, maxWait, ahead, 0)
	}

	// Nobody waits: one call of the backend may do.
	first := s.away == nil
	s.asking++
	s.number++
	ask := s.ask(arrived)
	ask.Number = s.number
	a.mu.Unlock()
	ask.Costs, ask.Fresh, ask.Leave = []backend.Amounts{e.cost}, true, maxWait == 0
	answer, err := l.take(ask.Ask)

	a.mu.Lock()
	s.asking--
	s.stored = s.stored || !ask.Leave && (err != nil || answer.Granted == 0)
	s.note(ask, answer, err)
	failed := s.failed(err)
	if failed && !first {
		s.refuseAll(err)
	}
	now := time.Now()
	var r *Reservation
	ahead := 0
	switch {
	case err != nil && (!failed || !first || ask.Leave):
		err = s.failure(err, e)
	case failed:
		// The queue asks once more. If only the reply was lost, its charge stays.
		err = nil
		ahead = s.join(w)
	case answer.Granted > 0:
		r = s.reserve(now, e, ask, answer, 0)
	case maxWait == 0:
		err = s.late(ErrMaxWait, e, s.earliest(e, now), 0, 0)
	default:
		if err = s.refuse(ctx, e, now, maxWait); err == nil {
			ahead = s.join(w)
		}
	}
	s.start()
	a.mu.Unlock()
	s.tidy()

	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return s.await(ctx, w, e, arrived, maxWait, ahead, answer.Wait)
	case ctx.Err() != nil:
		r.discard()
		return nil, ctx.Err()
	}
	s.started(ctx, e, arrived)
	return r, nil
}

// tidy takes a ticket out of the line that a fast ask has left and nobody stands
// for any more. Otherwise those behind would wait for it until it is stale.
func (s *scope) tidy() {
	a := s.account
	a.mu.Lock()
	idle := s.stored && !s.running && s.asking == 0 && len(s.waiting) == 0
	var ask ask
	if idle {
		s.stored = false
		s.number++
		ask = s.ask(time.Now())
		ask.Number = s.number
	}
	a.mu.Unlock()
	if idle {
		a.limiter.leave(ask.Ask)
	}
}

func (s *scope) started(ctx context.Context, e estimate, arrived time.Time) {
	s.account.limiter.traceStarted(ctx, StartedInfo{
		Account: s.account.name, Model: s.model, Cost: e.amounts(), Waited: time.Since(arrived),
	})
}

// await waits in the queue until the call may start, or must not wait longer. What it
// was estimated to cost when it came may be cut in the queue meanwhile.
func (s *scope) await(ctx context.Context, w *waiter, e estimate, arrived time.Time, maxWait time.Duration, ahead int, atLeast time.Duration) (*Reservation, error) {
	a, l := s.account, s.account.limiter
	l.traceWaiting(ctx, func() WaitingInfo {
		return WaitingInfo{Account: a.name, Model: s.model, Cost: e.amounts(), Ahead: ahead, Wait: atLeast}
	})

	reason, until := error(nil), time.Time{}
	if deadline, ok := ctx.Deadline(); ok {
		a.mu.Lock()
		reason, until = ErrDeadline, s.latest(arrived, deadline)
		a.mu.Unlock()
	}
	if maxWait > 0 {
		if t := arrived.Add(maxWait); reason == nil || t.Before(until) {
			reason, until = ErrMaxWait, t
		}
	}
	var expired <-chan time.Time
	if reason != nil {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case r := <-w.result:
		if r.err == nil {
			s.started(ctx, r.reservation.estimate, arrived)
		}
		return r.reservation, r.err
	case <-ctx.Done():
		return s.giveUp(w, ctx.Err())
	case <-expired:
		return s.giveUp(w, s.late(reason, e, bound{}, time.Since(arrived), until.Sub(arrived)))
	case <-l.done:
		return s.giveUp(w, &Error{Reason: ErrShutdown, Account: a.name, Model: s.model, Cost: e.amounts()})
	}
}

// giveUp leaves the queue, unless the result has just come.
func (s *scope) giveUp(w *waiter, err error) (*Reservation, error) {
	s.account.mu.Lock()
	if w.left {
		s.account.mu.Unlock()
		r := <-w.result
		if r.reservation != nil {
			r.reservation.discard()
		}
		return nil, err
	}
	w.left = true
	s.moved(s.remove(w))
	s.account.mu.Unlock()
	return nil, err
}
