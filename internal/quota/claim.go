package quota

import (
	"slices"
	"time"
)

// A claim is the largest amount to which processes have configured a limit, and when one of
// them last said so.
//
// Processes that share a bucket may have configured its limit differently, as while a new one
// is rolled out. Those with a lower limit would get nothing while the others use up a higher
// one. So all of them assume the largest: the server sees no more than from the others alone.
type claim struct {
	amount int64
	at     time.Time
}

// claimLife is for how long a claim holds. It is renewed after half of that.
const claimLife = 3 * time.Minute

// assumed is the most that the limit may be, 0 for any: what is configured here, or more if it is
// so elsewhere.
func (l *Limit) assumed() int64 {
	if l.configured == 0 {
		return 0
	}
	return max(l.configured, l.fleet.amount)
}

// claim is what to tell others.
func (l *Limit) claim(now time.Time) (int64, time.Time) {
	if l.configured < l.fleet.amount {
		return l.fleet.amount, l.fleet.at
	}
	return l.configured, now
}

// follow takes in what others claim in a note, and reports whether that note should say more. What
// was said before the limit was changed here does not count: those who have heard of the change too
// say nothing else any more. A limit that models share stands in the notes of all of them, not all
// of which are up to date.
func (l *Limit) follow(now time.Time, c claim) (unheard bool) {
	holds := func(c claim) bool { return now.Sub(c.at) < claimLife && c.at.After(l.set) }
	if !holds(c) {
		c = claim{}
	}
	before, known := l.assumed(), c
	if f := l.fleet; IsShared(l.Owner) && holds(f) && (f.amount > c.amount || f.amount == c.amount && f.at.After(c.at)) {
		known = f
	}
	l.fleet = known
	if l.assumed() != before {
		l.tracker.Forget()
	}
	amount, at := l.claim(now)
	return amount > c.amount || amount > 0 && amount == c.amount && at.Sub(c.at) >= claimLife/2
}

// Unheard says that the others have heard nothing of what is configured here.
func (s *Set) Unheard() {
	s.dirty = s.dirty || slices.ContainsFunc(s.limits, func(l *Limit) bool { return l.configured > 0 })
}
