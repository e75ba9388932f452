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

// follow takes in what others claim, and reports whether they should hear of what is configured
// here. What they said before that was changed does not count: those who have heard of the
// change too say nothing else any more.
func (l *Limit) follow(now time.Time, c claim) (unheard bool) {
	if now.Sub(c.at) >= claimLife || !c.at.After(l.set) {
		c = claim{}
	}
	before := l.assumed()
	l.fleet = c
	if l.assumed() != before {
		l.tracker.Forget()
	}
	return l.configured > c.amount || l.configured == c.amount && l.configured > 0 && now.Sub(c.at) >= claimLife/2
}

// Unheard says that the others have heard nothing of what is configured here.
func (s *Set) Unheard() {
	s.dirty = s.dirty || slices.ContainsFunc(s.limits, func(l *Limit) bool { return l.configured > 0 })
}
