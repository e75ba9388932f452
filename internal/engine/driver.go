package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A driver is the goroutine that asks for the callers at the head of a scope's queue, as
// one ticket. It runs only while somebody waits. Its account's lock guards it.
type driver struct {
	running bool
	kick    chan struct{}
	turn    int // how many calls are left of the ticket's turn, while it is in line
	full    int // how many asks in a row got all they wanted
}

// turnTime is how long what a ticket takes in a turn needs to refill: enough to keep asks
// few, and little enough for a call that waits behind many tickets.
const turnTime = 100 * time.Millisecond

// driveLocked runs the driver if somebody waits. Fast asks go first, unless they may take
// as long as one that has just failed.
func (s *scope) driveLocked() {
	if s.driver.running || s.asking > 0 && s.away == nil || s.queue.len() == 0 {
		return
	}
	s.driver.running = true
	s.driver.kick = make(chan struct{}, 1)
	kick := s.driver.kick
	s.account.engine.tasks.start(func() { s.drive(kick) })
}

// drive asks for the calls at the head of the queue until nobody waits.
func (s *scope) drive(kick <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		turn, ok := s.nextTurn()
		if !ok {
			return
		}
		hint, changed := turn.pause, (<-chan struct{})(nil)
		if len(turn.batch) > 0 {
			again := false
			if hint, changed, again = s.ask(&turn, kick); again {
				continue
			}
		}
		if turn.paced {
			hint = min(hint, turn.pause)
		}
		timer.Reset(hint)
		select {
		case <-timer.C:
		case <-changed:
		case <-kick:
		}
	}
}

// A turn is what the driver asks for next.
type turn struct {
	batch []*waiter
	ask   ask
	pause time.Duration // until a slow start by itself lets more through
	paced bool          // one holds calls back
	first bool          // the last ask had an answer
	since time.Time     // when the asks began to fail, should this one
	vain  bool          // nobody waited any more when it failed
}

// nextTurn returns what to ask for next, or false where nobody waits any more.
func (s *scope) nextTurn() (t turn, ok bool) {
	t, ok, release := s.takeTurn(time.Now())
	if release != nil {
		s.account.engine.leave(release)
	}
	return t, ok
}

func (s *scope) takeTurn(now time.Time) (t turn, ok bool, release *backend.Ask) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	t.batch = s.batchLocked(now)
	if s.queue.len() == 0 {
		s.driver.running, s.driver.turn = false, 0
		if a, ok := s.releaseTicketLocked(now); ok {
			release = &a.Ask
		}
		return t, false, release
	}
	t.pause, t.paced, t.first = s.quota.NextPace(now), s.quota.Paced(now), s.away == nil
	t.since = s.failingLocked(now)
	if len(t.batch) > 0 {
		t.ask = s.askLocked(now)
		for _, w := range t.batch {
			t.ask.Costs = append(t.ask.Costs, w.charge.cost)
		}
	}
	return t, true, nil
}

// batchLocked returns the calls that ask next, after rejecting those at the head that have
// become impossible: those that are left of the ticket's turn, or a new one. A turn need
// not be short where there is plenty for all.
func (s *scope) batchLocked(now time.Time) (batch []*waiter) {
	n := backend.MaxCosts
	if s.driver.turn > 0 {
		n = s.driver.turn
	}
	short := s.driver.turn == 0 && s.driver.full < 2
	if slots := s.slotsLocked(now); slots >= 0 {
		n = min(n, slots)
	}
	var total backend.Amounts
	for w := range s.queue.all() {
		if len(batch) == n || short && s.quota.Refill(&total) >= turnTime {
			break
		}
		c := &w.charge
		if fit := s.quota.Fit(c.cost[backend.Tokens], c.certain); fit < c.cost[backend.Tokens] {
			s.queue.cut(w, fit) // to limits that were learned meanwhile
		}
		if l := s.quota.Exceeded(&c.cost, now); l != nil {
			s.rejectLocked(w, tooLarge(c, l, now))
			continue
		}
		s.quota.DropDoubtful(&c.cost, now)
		batch = append(batch, w)
		for d, n := range c.cost {
			total[d] += n
		}
	}
	return batch
}

// ask asks for a turn's calls and hands out the answer. again says that there may be more
// to get at once; else hint is when to ask again, or sooner when changed is closed.
func (s *scope) ask(t *turn, kick <-chan struct{}) (hint time.Duration, changed <-chan struct{}, again bool) {
	answer, err := s.persist(t, kick)
	for _, r := range s.deliver(t, &answer, err) {
		r.discard()
	}
	return answer.Hint, answer.Changed, answer.Granted == len(t.batch) || err != nil
}

// deliver hands the backend's answer to the calls that asked, and returns the reservations
// of those whose callers have left.
func (s *scope) deliver(t *turn, answer *backend.Answer, err error) (abandoned []*Reservation) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now()
	if err == nil {
		s.answeredLocked(&t.ask, answer)
	}
	d := &s.driver
	s.stored = err != nil || answer.Granted < len(t.batch)
	d.full++
	if d.turn = len(t.batch) - answer.Granted; d.turn > 0 {
		d.full = 0
	}
	switch {
	case s.failedLocked(err, t.since):
		if d.turn = 0; !t.vain {
			s.rejectAllLocked(err)
		}
	case err == nil:
	case len(t.batch) > 1:
		d.turn = 1 // which of them is too large shows when they ask one by one
	default:
		d.turn = 0
		if w := t.batch[0]; !w.ended {
			s.rejectLocked(w, backendFailed(&w.charge, err))
		}
	}
	for i, w := range t.batch[:answer.Granted] {
		s.grantLocked(now, w.reservation, &w.charge, &t.ask, answer, i)
		if w.ended {
			abandoned = append(abandoned, w.reservation)
			continue
		}
		s.endLocked(w, nil)
	}
	return abandoned
}

func (s *scope) rejectLocked(w *waiter, r *Rejection) { s.endLocked(w, r) }

// endLocked takes a waiter out of the queue and gives it its result.
func (s *scope) endLocked(w *waiter, err error) {
	s.queue.leave(w)
	w.ended = true
	w.result <- err
}
