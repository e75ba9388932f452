package ledger

import "github.com/openai-ratelimiter/ratelimiter/backend"

// restore returns what undoes all that a look does to the account, down to the last bit,
// so that a store has nothing to write. Where the look has corrected a bucket that was
// lost, that stays, and all else with it, the account's clock too.
func (a *Account) restore(ask *backend.Ask, time clock) (undo func()) {
	s := a.snapshot(ask)
	return func() {
		if s.raised() {
			a.clock = time
			return
		}
		s.restore()
	}
}

// undo returns what undoes all that a quiet ask does to the account, down to the last bit,
// and reports whether it has: if the ask has changed something it undoes nothing, for all
// else is kept with it. Of the time that passes in the line it leaves a little to the next ask.
func (a *Account) undo(ask *backend.Ask, time clock) func() bool {
	if !a.Quiet {
		return func() bool { return false }
	}
	s, stepped := a.snapshot(ask), time != a.clock
	l := a.lines[ask.Line]
	if l == nil {
		l = &line{}
	}
	l.dirty = false
	clock, stamp := l.clock, l.stamp
	return func() bool {
		if stepped || l.dirty || s.dirty() {
			return false
		}
		s.restore()
		if passed := l.stamp - stamp; passed >= 0 && passed < Micros(Tick) {
			l.clock, l.stamp = clock, stamp
		}
		return true
	}
}

// A snapshot is how the owners of an ask's buckets stood.
type snapshot struct {
	account *Account
	owners  []kept
	round   int
	changed bool
}

type kept struct {
	owner   *owner
	was     owner
	buckets []bucket
}

func (a *Account) snapshot(ask *backend.Ask) *snapshot {
	s := &snapshot{account: a, round: a.round.Len(), changed: a.changed}
	for o := range a.touched(ask) {
		o.dirty = false
		k := kept{owner: o, was: *o, buckets: make([]bucket, len(o.buckets))}
		for i, b := range o.buckets {
			k.buckets[i] = *b
		}
		s.owners = append(s.owners, k)
	}
	return s
}

// raised reports whether a bucket that was lost has been corrected since.
func (s *snapshot) raised() bool {
	for _, k := range s.owners {
		for i := range k.buckets {
			if k.owner.buckets[i].raised != k.buckets[i].raised {
				return true
			}
		}
	}
	return false
}

// dirty reports whether more has changed since than time has passed.
func (s *snapshot) dirty() bool {
	for _, k := range s.owners {
		if k.owner.dirty {
			return true
		}
	}
	return s.account.round.Len() > s.round
}

func (s *snapshot) restore() {
	s.account.changed = s.changed
	for _, o := range s.account.round.Cut(s.round) { // they have come since
		s.account.drop(o)
	}
	for _, k := range s.owners {
		*k.owner = k.was
		for i, b := range k.was.buckets {
			*b = k.buckets[i]
		}
	}
}

// touched is the owners of the ask's buckets.
func (a *Account) touched(ask *backend.Ask) map[*owner]bool {
	owners := map[*owner]bool{}
	add := func(name string) {
		if o := a.owners[name]; o != nil {
			owners[o] = true
		}
	}
	add(ask.Scope)
	for i := range ask.Buckets {
		add(ask.Buckets[i].Owner)
	}
	return owners
}
