// Package ledger is the arithmetic of the budget: buckets that refill, lines
// of tickets, and who may start. Everything in it is a function of its
// arguments; time comes in as microseconds. The memory backend runs it under a
// lock, and the Redis script is checked against it.
package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// An Account holds the buckets and the lines of one account. The zero value is
// not ready; use [New]. An Account is not safe for concurrent use.
type Account struct {
	// Lease is how long after its last call a ticket still counts, and Erase
	// when it is forgotten. 0 means for ever, of both.
	Lease, Erase time.Duration
	// Known is what the next caller knows of the account's time.
	Known Bounds
	// Quiet says that the next Take may leave no trace if it changes nothing, not even its
	// number: no earlier ask of its ticket can come any more.
	Quiet bool

	clock  clock
	owners map[string]*owner
	recent *owner        // the last that was looked up: mostly the next is the same
	round  Round[*owner] // the same, in the order in which forget comes to them
	few    int           // owners are kept without a look at them

	lines    map[string]*line
	empty    line   // for an ask where nobody stands
	parts    []part // of the ask, and its costs'
	of       []int
	answered map[string]*reply // to tickets that got all they asked for
	replies  []*reply          // the same, the oldest first, and some that are void
	changed  bool              // a limit has been described anew
	resolved []*bucket         // of the call under way
}

// New returns an account whose buckets are all full.
func New() *Account {
	return &Account{few: few, owners: map[string]*owner{}, lines: map[string]*line{}, answered: map[string]*reply{}}
}

// Take is backend.Backend's Take when the store's clock shows that time.
func (a *Account) Take(shown int64, ask *backend.Ask) (backend.Answer, error) {
	if TooLarge(ask) {
		return backend.Answer{}, backend.ErrTooLarge
	}
	now, clock := a.read(shown, ask.Scope, ask.Buckets)
	a.forget(now)
	a.forgetReplies(now)
	if r, ok := a.answered[ask.Ticket]; ok {
		if ask.Number <= r.number && !ask.Fresh {
			return r.answer, nil
		}
		delete(a.answered, ask.Ticket)
	}
	undo := a.undo(ask, clock)
	a.clock = clock
	l := a.line(now, ask)
	l.accompany(ask.Companions[:min(len(ask.Companions), backend.MaxCompanions)])
	scope, buckets := a.owner(now, ask.Scope), a.resolve(now, ask.Buckets)
	t := l.tickets[ask.Ticket]
	if t != nil {
		if t.silent && !ask.Fresh {
			l.comeBack(t)
		}
		if ask.Number <= t.number && !ask.Fresh {
			l.saw(t, l.clock)
			return t.answer, nil
		}
	}
	if len(ask.Costs) == 0 {
		l.remove(t)
		a.close(ask.Line, l)
		answer := stand(backend.Answer{Stamp: now}, buckets)
		undo()
		return answer, nil
	}
	if ask.Fresh && t != nil {
		answer := stand(backend.Answer{Stamp: now, Tickets: 1 + l.ahead(t)}, buckets)
		undo()
		return answer, nil
	}
	if l == &a.empty && len(ask.Costs) == 1 && ask.Flows == nil { // there is no order to keep
		if v := newSurvey(now, l, scope, buckets, nil, false); v.fits(ask.Costs[0]) {
			answer := backend.Answer{Stamp: now}
			v.start(ask.Costs[0], &answer)
			answer = stand(answer, buckets)
			if !ask.Fresh {
				a.remember(now, ask, answer)
			}
			return answer, nil
		}
	}
	l.release(now)
	var old []part
	if t != nil {
		old = t.parts
	}
	a.parts, a.of = l.flows.assign(old, ask, a.parts[:0], a.of[:0])
	var tagged []float64
	if ask.Flows != nil {
		tagged = tags(ask, a.parts, a.of)
	}
	placed := backend.Answer{Tags: tagged, Order: Order(tagged)}
	ordered := *ask
	ordered.Costs, ordered.Flows = backend.InOrder(&placed, ask.Costs), backend.InOrder(&placed, ask.Flows)
	a.of = backend.InOrder(&placed, a.of)
	v := newSurvey(now, l, scope, buckets, t, false)
	answer := v.grant(&ordered, a.parts, a.of)
	answer.Tags, answer.Order = placed.Tags, placed.Order
	a.place(v, t, &ordered, answer, undo)
	return answer, nil
}

// line is the ask's, without those who have been silent for too long. It is kept
// only if somebody comes to stand in it.
func (a *Account) line(now int64, ask *backend.Ask) *line {
	if l := a.lines[ask.Line]; l != nil {
		l.tick(now)
		l.patrol(ask.Ticket)
		l.erase(Micros(a.Erase))
		if a.close(ask.Line, l); len(l.tickets) > 0 {
			return l
		}
	}
	a.empty = line{stamp: now, lease: Micros(a.Lease)}
	return &a.empty
}

// place puts the ticket where the answer leaves it: out of the line, or in it with what
// was not granted. A ticket that has only waited on leaves no trace if undo can see to it.
func (a *Account) place(v survey, old *ticket, ask *backend.Ask, answer backend.Answer, undo func() bool) {
	l := v.line
	rest := ask.Costs[answer.Granted:]
	if len(rest) == 0 || ask.Leave {
		l.flows.withdraw(left(a.parts))
		if old != nil {
			old.parts = nil // they were taken over
			l.remove(old)
		}
		a.close(ask.Line, l)
		if !ask.Fresh {
			a.remember(v.now, ask, answer)
		}
		return
	}
	if l == &a.empty {
		l = new(line)
		*l, v.line = a.empty, l
	}
	t := &ticket{id: ask.Ticket, number: ask.Number, answer: answer, seen: l.clock, scope: v.scope, buckets: slices.Clone(v.buckets)}
	t.tag, t.next, t.need = a.parts[a.of[answer.Granted]].tag, rest[0], sum(rest)
	for i := range ask.Buckets {
		t.margins = append(t.margins, ask.Buckets[i].Margin)
	}
	t.parts = slices.Clone(left(a.parts))
	for i := range t.parts {
		t.end = max(t.end, t.parts[i].end)
	}
	if a.Quiet && old != nil && answer.Granted == 0 && l.same(old, t) {
		if v.hold(old); undo() {
			if max(0, t.seen-old.seen)+Micros(answer.Hint) > Micros(Renew) {
				l.saw(old, t.seen)
			}
			return
		}
	}
	if old == nil {
		t.place = l.newPlace()
		l.enter(t)
	} else {
		t.place = old.place
		l.asked = remove(l.asked, float64(old.seen), old.place)
		l.replace(old, t)
	}
	l.listen(t)
	v.hold(t)
	a.lines[ask.Line] = l
}

// Look is backend.Backend's Look when the store's clock shows that time.
func (a *Account) Look(shown int64, ask *backend.Ask) (backend.Answer, error) {
	if TooLarge(ask) {
		return backend.Answer{}, backend.ErrTooLarge
	}
	now, clock := a.read(shown, ask.Scope, ask.Buckets)
	a.forget(now)
	l := a.lines[ask.Line]
	if l == nil {
		l = &line{}
	}
	defer a.restore(ask, clock)()
	var cost backend.Amounts
	if len(ask.Costs) > 0 {
		cost = ask.Costs[0]
	}
	v := newSurvey(now, l, a.owner(now, ask.Scope), a.resolve(now, ask.Buckets), nil, true)
	v.come(l.flows.begin(ask.FlowOf(0)))
	answer := stand(backend.Answer{Stamp: now, Tickets: v.tickets}, v.buckets)
	if !v.fits(cost) {
		wait, pause := v.wait(cost, false)
		answer.Wait, answer.Paused = Duration(wait), Duration(pause)
		answer.Hint = answer.Wait
	}
	return answer, nil
}

// Settle is backend.Backend's Settle when the store's clock shows that time.
func (a *Account) Settle(shown int64, s *backend.Settlement) {
	now, clock := a.read(shown, s.PauseOwner, s.Buckets)
	a.clock = clock
	a.forget(now)
	for i, b := range a.resolve(now, s.Buckets) {
		if s.Stamp < b.owner.since {
			continue
		}
		b.give(float64(s.Refund[b.dimension]))
		if s.Corrections != nil {
			b.correct(s.Corrections[i])
		}
	}
	if s.PauseOwner != "" && s.Pause > 0 {
		o := a.owner(now, s.PauseOwner)
		o.paused = max(o.paused, now+Micros(s.Pause))
	}
}

// Clear is backend.Backend's Clear when the store's clock shows that time.
func (a *Account) Clear(shown int64, owners []string) {
	latest := int64(never)
	for _, name := range owners {
		latest = a.latest(latest, name)
	}
	now, clock := a.clock.read(shown, a.Known, latest)
	a.clock = clock
	a.forget(now)
	for _, name := range owners {
		o := a.owner(now, name)
		o.paused = 0
		for _, b := range o.buckets {
			b.corrected -= b.used
			b.used = 0
		}
		o.since = now + 1 // later than every stamp so far
		o.stamp = o.since
	}
}

// Changed reports whether a limit has changed since the last call of Changed.
func (a *Account) Changed() bool {
	changed := a.changed
	a.changed = false
	return changed
}

// close drops a line in which nobody stands.
func (a *Account) close(name string, l *line) {
	if len(l.tickets) == 0 {
		delete(a.lines, name)
	}
}

func (a *Account) owner(now int64, name string) *owner {
	o := a.known(name)
	if o == nil {
		o = &owner{name: name, stamp: now, since: now, charged: never, dirty: true}
		a.owners[name] = o
		a.round.Add(o)
	}
	o.advance(now)
	return o
}

// known returns the owner of that name, or nil.
func (a *Account) known(name string) *owner {
	if a.recent != nil && a.recent.name == name {
		return a.recent
	}
	o := a.owners[name]
	if o != nil { // a settlement that pauses nobody asks for one without a name
		a.recent = o
	}
	return o
}

// drop forgets an owner.
func (a *Account) drop(o *owner) {
	delete(a.owners, o.name)
	a.recent = nil
}

// resolve brings the described buckets up to now and to their description. What it returns
// holds until the next call.
func (a *Account) resolve(now int64, described []backend.Bucket) []*bucket {
	buckets := a.resolved[:0]
	var o *owner
	last := ""
	for i := range described {
		d := &described[i]
		if o == nil || d.Owner != last {
			o, last = a.owner(now, d.Owner), d.Owner
		}
		b := o.bucket(d)
		if b.describe(d) {
			a.changed, o.dirty = true, true
		}
		b.trim()
		buckets = append(buckets, b)
	}
	a.resolved = buckets
	return buckets
}

// TooLarge reports whether a cost of an ask is above a limit that it draws from.
func TooLarge(ask *backend.Ask) bool {
	for i := range ask.Buckets {
		b := &ask.Buckets[i]
		for _, c := range ask.Costs {
			if c[b.Dimension] > b.Limit {
				return true
			}
		}
	}
	return false
}

// stand adds to an answer how the buckets stand.
func stand(answer backend.Answer, buckets []*bucket) backend.Answer {
	n := len(buckets)
	figures := make([]float64, 3*n)
	answer.Levels, answer.Charged, answer.Corrected = figures[:n:n], figures[n:2*n:2*n], figures[2*n:]
	for i, b := range buckets {
		answer.Levels[i], answer.Charged[i], answer.Corrected[i] = b.level(), b.charged, b.corrected
	}
	return answer
}

// Micros is a duration in microseconds, the unit of all times here, rounded up.
func Micros(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

// Duration turns microseconds into a duration that is never too short.
func Duration(us float64) time.Duration {
	if us <= 0 {
		return 0
	}
	const longest = math.MaxInt64 / 2000
	return time.Duration(math.Min(math.Ceil(us), longest)) * time.Microsecond
}
