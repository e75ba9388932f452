package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A driver is the goroutine that asks for the callers at the head of a scope's queue, as
// one ticket. It runs only while somebody waits. Its account's lock guards it.
type driver struct {
	running bool
	kick    chan struct{} // it looks again at once
	soon    chan struct{} // it does as soon as it may ask
	asked   time.Time     // when it last did
	full    int           // how many asks in a row got all they wanted
	turns   bool          // the ticket takes turns
	single  bool          // the next ask brings one call
	progress
	standing
	membership
}

// A standing is what the last ask has left in line.
type standing struct {
	inLine backend.Amounts // what the calls want
	turn   int             // how many calls are left of one
	grows  bool            // the ticket is far from its turn, and takes in calls that come
}

// turnTime is how long the calls of one ask need to refill: enough to keep asks few, and little
// enough for a call that waits behind many tickets.
const turnTime = 100 * time.Millisecond

// headTime is how soon after another ask one may come for a flow that has come to be first, for
// calls that a ticket takes in, or for a turn that comes sooner.
const headTime = turnTime / 2

// far is how long it must be until a ticket's turn for it to take in calls that come. For so long
// at least a scope for which another one speaks does not ask.
const far = time.Second

// easeTime is how soon an ask comes again whose margin a rush has raised: what is held back for it
// comes back while no call is answered, and nobody tells.
const easeTime = time.Second / 2

// plenty is how many asks in a row have got all they wanted where there is plenty for all.
const plenty = 2

// driveLocked runs the driver if somebody waits. Fast asks go first, unless they may take
// as long as one that has just failed.
func (s *scope) driveLocked() {
	if s.driver.running || s.asking > 0 && s.away == nil || s.queue.len() == 0 {
		return
	}
	s.driver.running = true
	s.driver.kick, s.driver.soon = make(chan struct{}, 1), make(chan struct{}, 1)
	wakes := wakes{kick: s.driver.kick, soon: s.driver.soon}
	s.account.engine.tasks.start(func() { s.drive(wakes) })
}

// drive asks for the calls at the head of the queue until nobody waits.
func (s *scope) drive(wakes wakes) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var strained strained
	for {
		turn, ok := s.nextTurn()
		if !ok {
			return
		}
		turn.strained = &strained
		hint := turn.pause
		wakes.changed = nil
		if len(turn.batch) > 0 {
			var again bool
			if hint, wakes.changed, again = s.ask(&turn, wakes.kick); again {
				continue
			}
		}
		if turn.paced {
			hint = min(hint, turn.pause)
		}
		rest := varied(strained.rest / time.Duration(max(1, turn.voices)))
		wakes.wait(timer, max(hint, rest), max(rest, time.Until(turn.at.Add(headTime))))
	}
}

// wakes are what ends a driver's wait before its time.
type wakes struct{ changed, kick, soon <-chan struct{} }

// wait waits for as long, or until it is woken; by soon not before soonest.
func (w *wakes) wait(timer *time.Timer, long, soonest time.Duration) {
	begun := time.Now()
	timer.Reset(long)
	for {
		select {
		case <-timer.C:
			return
		case <-w.changed:
			return
		case <-w.kick:
			return
		case <-w.soon:
			if soonest < long {
				timer.Reset(soonest - time.Since(begun))
			}
		}
	}
}

// A turn is what the driver asks for next.
type turn struct {
	batch     []*waiter
	capped    bool // it has a slot for no more
	ask       ask
	at        time.Time     // when the driver last asked
	young     bool          // the first of the batch has not asked before, and is not alone
	pause     time.Duration // until a slow start by itself lets more through
	paced     bool          // one holds calls back
	first     bool          // the last ask had an answer
	since     time.Time     // when the asks began to fail, should this one
	vain      bool          // nobody waited any more when it failed
	voices    int           // for how many tickets it asks, if for more than one
	last      bool          // nobody waits after it
	*strained               // the driver's
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
	for _, woken := range []<-chan struct{}{s.driver.kick, s.driver.soon} {
		select {
		case <-woken: // it looks now
		default:
		}
	}
	s.queue.countIn(s.unitLocked())
	t.batch = s.batchLocked(now)
	all := t.batch
	taken := s.takeRoomLocked(&t, now)
	t.capped = len(t.batch) < len(all) || len(t.batch) == s.slotsLocked(now)
	s.queue.stand(t.batch, all)
	if s.queue.len() == 0 {
		s.driver.running, s.driver.standing, s.driver.progress = false, standing{}, progress{}
		s.leaveCompanyLocked()
		return t, false, s.releaseLocked(now)
	}
	t.pause, t.paced, t.first = s.quota.NextPace(now), s.quota.Paced(now), s.away == nil
	t.since = s.failingLocked(now)
	if len(t.batch) > 0 {
		s.driver.asked, s.driver.next = now, time.Time{}
		t.ask = s.askLocked(now, nil)
		t.ask.slots = taken
		for _, w := range t.batch {
			t.ask.Costs = append(t.ask.Costs, w.charge.cost)
		}
		t.young = len(s.queue.waiting) > 1 && !t.batch[0].asked
		t.ask.Flows = s.queue.asks(t.batch)
		t.ask.Companions = s.companionsLocked()
	} else {
		s.leaveCompanyLocked() // nobody knows for how long it asks nothing
	}
	t.at = s.driver.asked
	return t, true, nil
}

// takeRoomLocked leaves the calls in a turn for which there are slots, and takes those.
func (s *scope) takeRoomLocked(t *turn, now time.Time) []*slots {
	if s.slots == nil {
		return nil
	}
	wanted := int64(len(t.batch))
	s.lacks = 0
	room := s.roomLocked(wanted, now)
	if s.driver.full >= plenty { // else slots are not all that is short, and the line's order holds
		s.account.turns.choose(t.batch, int(room))
	}
	t.batch = t.batch[:room]
	for _, o := range s.slots {
		o.used += room
	}
	s.shortLocked(wanted-room, now) // only now: what is needed is both
	return s.slots
}

// batchLocked returns the calls that ask next, after rejecting those that have become
// impossible. They need not be few where there is plenty for all.
//
// The tickets of callers that are all alike take turns: once the turn of one is near, it asks
// for no more until all of it have started. Until then it takes in those who come, behind all who
// have come before; else they would wait for this turn and for the next. Where callers are of
// several flows, each ask brings what there is, and one call more than is likely to start, so
// that the ticket stays in line while somebody waits.
func (s *scope) batchLocked(now time.Time) []*waiter {
	d := &s.driver
	n, short := backend.MaxCosts, d.full < plenty
	d.turns = s.queue.plain()
	if d.turns && d.turn > 0 {
		n, short = d.turn, false
	}
	if d.single {
		n = 1
	}
	if slots := s.slotsLocked(now); slots >= 0 {
		n = min(n, slots)
	}
	b := batch{most: n, short: short, turns: d.turns}
	for _, w := range s.queue.standing(n) {
		s.askForLocked(&b, w, now)
	}
	for w := range s.queue.all() {
		if b.full() {
			break
		}
		if !w.stands {
			s.askForLocked(&b, w, now)
		}
	}
	for _, i := range b.impossible { // only now: the queue must not change on the way through it
		s.rejectLocked(i.call, i.rejection)
	}
	return b.calls
}

// A batch is the calls of an ask.
type batch struct {
	calls  []*waiter
	total  backend.Amounts
	most   int
	short  bool
	turns  bool
	enough bool

	impossible []impossible
}

// An impossible call has become one since it joined the queue.
type impossible struct {
	call      *waiter
	rejection *Rejection
}

func (b *batch) full() bool { return len(b.calls) >= b.most || b.enough }

// askForLocked adds a call to the batch, or to those that are to be rejected.
func (s *scope) askForLocked(b *batch, w *waiter, now time.Time) {
	if r := s.admissibleLocked(w, now); r != nil {
		b.impossible = append(b.impossible, impossible{w, r})
		return
	}
	before := b.total
	b.calls = append(b.calls, w)
	for d, n := range w.charge.cost {
		b.total[d] += n
	}
	if b.turns {
		before = b.total
	}
	b.enough = b.short && s.quota.Refill(&before) >= turnTime
}

// admissibleLocked brings what a waiter wants to what is known now, and returns why it is to
// be rejected if it has become impossible.
func (s *scope) admissibleLocked(w *waiter, now time.Time) *Rejection {
	c := &w.charge
	s.renewLocked(w)
	if l := s.exceededLocked(&c.cost, now); l != nil {
		return tooLarge(c, l, now)
	}
	s.quota.DropDoubtful(&c.cost, now)
	return nil
}

// renewLocked changes what a waiter wants to what was learned since it joined: what the
// server charges for its input, and limits.
func (s *scope) renewLocked(w *waiter) {
	c := &w.charge
	if input := s.chargedInputLocked(&w.reservation.Call.Body, c.counted); input != c.input {
		s.queue.change(w, func(c *charge) { c.recharge(input) })
	}
	if fit := s.fitLocked(c.cost[backend.Tokens], c.certain); fit < c.cost[backend.Tokens] {
		s.queue.change(w, func(c *charge) { c.cut(fit) })
	}
}

// ask asks for a turn's calls and hands out the answer. again says that there may be more
// to get at once; else hint is when to ask again, or sooner when changed is closed.
func (s *scope) ask(t *turn, kick <-chan struct{}) (hint time.Duration, changed <-chan struct{}, again bool) {
	answer, err := s.persist(t, kick)
	abandoned, release := s.deliver(t, &answer, err)
	for _, r := range abandoned {
		r.discard()
	}
	if release != nil {
		s.account.engine.leave(release)
	}
	return answer.Hint, answer.Changed, answer.Granted == len(t.batch) || t.last || err != nil
}

// deliver hands the backend's answer to the calls that asked, and returns the reservations
// of those whose callers have left. release is what takes the ask's ticket out of a line in
// which the scope stands no more.
func (s *scope) deliver(t *turn, answer *backend.Answer, err error) (abandoned []*Reservation, release *backend.Ask) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now()
	if err == nil {
		t.inOrder(answer)
		s.answeredLocked(now, &t.ask, answer)
	}
	if back := int64(len(t.batch) - answer.Granted); back > 0 {
		s.shortLocked(0, now) // slots are not what it waits for; if they were, it would wake itself
		giveBackLocked(t.ask.slots, back, now)
	}
	d := &s.driver
	s.stored = err != nil || answer.Granted < len(t.batch)
	d.full++
	if answer.Granted < len(t.batch) {
		d.full = 0
	}
	d.single, d.standing = false, standing{}
	switch {
	case s.failedLocked(now, err, t.since, t.ask.took):
		if !t.vain {
			s.rejectAllLocked(err)
		}
	case err == nil:
		s.queue.place(t.batch, answer)
		for _, cost := range t.ask.Costs[answer.Granted:] {
			for i, n := range cost {
				d.inLine[i] += n
			}
		}
		left := len(t.batch) - answer.Granted
		if d.turns && answer.Wait < far {
			d.turn = left
		}
		d.grows = answer.Wait >= far && !t.capped && left < backend.MaxCosts && s.quota.Refill(&d.inLine) < turnTime
	case len(t.batch) > 1:
		d.single = true // which of them is too large shows when they ask one by one
	default:
		if w := t.batch[0]; !w.ended {
			s.rejectLocked(w, backendFailed(&w.charge, err))
		}
	}
	for i, w := range t.batch[:answer.Granted] {
		s.grantLocked(now, w.reservation, &w.charge, &t.ask, answer, i)
		w.reservation.flow = w.flow
		w.flow.start()
		if s.slots != nil {
			s.account.turns.serve(&w.flow.Flow)
		}
		if w.ended {
			w.flow.credit -= w.credit // it has withdrawn what it has used after all
			abandoned = append(abandoned, w.reservation)
			continue
		}
		s.endLocked(w, nil)
	}
	if release = s.movedLocked(&t.ask); release != nil {
		s.stored, d.standing, d.progress = false, standing{}, progress{}
	}
	if t.young && answer.Granted == 0 {
		answer.Hint = min(answer.Hint, max(answer.Wait, headTime)) // the hint is for the whole batch
	}
	if err == nil && release == nil && answer.Tags != nil && answer.Granted < len(t.batch) {
		d.saw(answer.Virtual, now)
		answer.Hint = d.hint(answer)
	}
	if err == nil && answer.Granted < len(t.batch) && t.ask.easesLocked(now) {
		answer.Hint = min(answer.Hint, easeTime)
	}
	if err != nil || release != nil {
		s.leaveCompanyLocked()
	} else {
		answer.Hint = s.waitsLocked(now, t, answer)
	}
	if d.grows && s.queue.len() > len(t.batch)-answer.Granted {
		answer.Hint = min(answer.Hint, headTime) // for those who have come meanwhile
	}
	t.last = s.queue.len() == 0 // whoever was not granted what he wanted has left meanwhile
	return abandoned, release
}

// easesLocked reports whether what the ask leaves of a bucket will soon be less.
func (a *ask) easesLocked(now time.Time) bool {
	for i, l := range a.limits {
		if l.Eases(now, &a.Buckets[i]) {
			return true
		}
	}
	return false
}

// inOrder brings the calls of a turn into the order in which the backend has them start.
func (t *turn) inOrder(answer *backend.Answer) {
	copy(t.batch, backend.InOrder(answer, t.batch)) // where the queue sees it too
	t.ask.Costs, answer.Tags = backend.InOrder(answer, t.ask.Costs), backend.InOrder(answer, answer.Tags)
}

func (s *scope) rejectLocked(w *waiter, r *Rejection) {
	s.queue.withdraw(w)
	s.endLocked(w, r)
}

// endLocked takes a waiter out of the queue and gives it its result.
func (s *scope) endLocked(w *waiter, err error) {
	s.queue.leave(w)
	w.ended, w.err = true, err
	w.signals <- result
}
