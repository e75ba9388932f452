package ledger

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A line is the order between the processes that share a bucket.
type line struct {
	tickets []*ticket
	last    int64 // the last place that was given away
	round   int64 // the place up to which patrol has come
	stamp   int64 // when somebody last came
	clock   int64 // the line's own time, which stands still while a clock is set back
}

// A ticket is one process's place for one scope. It has charged nothing.
type ticket struct {
	id      string
	place   int64
	number  uint64
	answer  backend.Answer  // to number
	seen    int64           // when it last asked, by the line's clock
	silent  bool            // it has been stepped over since
	need    backend.Amounts // the sum of its costs
	scope   *owner
	buckets []*bucket
}

func (l *line) find(id string) int {
	for i, t := range l.tickets {
		if t.id == id {
			return i
		}
	}
	return -1
}

func (l *line) remove(at int) {
	if at >= 0 {
		l.tickets = append(l.tickets[:at], l.tickets[at+1:]...)
	}
}

// tick lets the line's time pass.
func (l *line) tick(now int64) {
	l.clock += max(0, now-l.stamp)
	l.stamp = now
}

// patrolled is how many tickets each ask checks.
const patrolled = 2

// patrol steps over the silent among the next few tickets, front first and round
// again, and goes on while it finds some: surveys don't come to those who died
// behind a ticket that waits for long. The ticket that asks is not one of them.
func (l *line) patrol(lease int64, asks string) {
	for found := lease > 0; found; {
		found = false
		checked := 0
		for _, t := range l.tickets {
			if t.silent || t.place <= l.round {
				continue
			}
			l.round = t.place
			if t.id != asks && l.clock-t.seen > lease {
				t.silent, found = true, true
			}
			if checked++; checked == patrolled {
				break
			}
		}
		if checked < patrolled {
			l.round = 0
			return
		}
	}
}

// erase drops those who were stepped over and have been silent for too long.
func (l *line) erase(after int64) {
	if after > 0 {
		l.tickets = slices.DeleteFunc(l.tickets, func(t *ticket) bool { return t.silent && l.clock-t.seen > after })
	}
}

// ahead are the tickets before the one at that place in the line, or all if there
// is none.
func (l *line) ahead(at int) []*ticket {
	if at < 0 {
		return l.tickets
	}
	return l.tickets[:at]
}

// standing is how many of the tickets have not been stepped over.
func standing(tickets []*ticket) (n int) {
	for _, t := range tickets {
		if !t.silent {
			n++
		}
	}
	return n
}

// A survey is what one ask finds: its buckets, and in their notes what must
// stay for the tickets ahead.
type survey struct {
	now     int64
	scope   *owner
	buckets []*bucket
	waiting []float64 // what those ahead that are in its way need, by bucket
}

// survey looks at the tickets ahead. Unless it must see all, it stops at the
// one that leaves too little for the first cost.
func (a *Account) survey(now, clock int64, ahead []*ticket, scope *owner, buckets []*bucket, first backend.Amounts, all bool) survey {
	a.round++
	for _, b := range buckets {
		b.note(now, a.round)
	}
	v := survey{now: now, scope: scope, buckets: buckets}
	if len(ahead) == 0 {
		return v
	}
	v.waiting = make([]float64, len(buckets))
	lease := micros(a.Lease)
	for _, t := range ahead {
		if lease > 0 && clock-t.seen > lease {
			t.silent = true
		}
		if t.silent {
			continue
		}
		t.setAside(now, a.round)
		blocked := false
		for i, b := range buckets {
			if !b.free(float64(first[b.dimension])) && b.aside > 0 {
				v.waiting[i] = b.cum
				blocked = true
			}
		}
		if blocked && !all {
			break
		}
	}
	return v
}

// note brings the bucket up to now and empties its notes of earlier rounds.
func (b *bucket) note(now int64, round uint64) {
	if b.round != round {
		b.owner.advance(now)
		b.round, b.cum, b.drawn, b.aside = round, 0, 0, 0
	}
}

// setAside adds the ticket's need to the notes of its buckets. In each of them
// must stay what the tickets so far could draw now, and what they will lack
// when the other buckets let this one start. So a ticket that is held back
// elsewhere for longer than this bucket needs to refill sets aside nothing.
func (t *ticket) setAside(now int64, round uint64) {
	t.scope.advance(now)
	paused := max(0, float64(t.scope.paused-now))
	for _, b := range t.buckets {
		b.note(now, round)
		paused = max(paused, float64(b.owner.paused-now))
	}
	for _, b := range t.buckets {
		need := float64(t.need[b.dimension])
		if need == 0 {
			continue
		}
		// What the others let it draw now, as a share of its need, and when
		// they let it draw all.
		share, later := 1.0, paused
		if paused > 0 {
			share = 0
		}
		for _, o := range t.buckets {
			want := float64(t.need[o.dimension])
			if o == b || want == 0 {
				continue
			}
			left := o.level() - o.cum
			share = min(share, max(0, left/want))
			later = max(later, (want-left)/o.rate)
		}
		b.drawn += float64(share * need)
		b.aside = max(b.aside, b.drawn, b.cum+need-float64(b.rate*later))
	}
	for _, b := range t.buckets {
		b.cum += float64(t.need[b.dimension])
	}
}

// free reports whether the bucket holds the cost beside what is set aside. A
// cost above the capacity starts on a full bucket and leaves a debt.
func (b *bucket) free(cost float64) bool {
	switch {
	case cost == 0:
		return true
	case cost > b.capacity:
		return b.used == 0 && b.aside <= 0
	default:
		return b.aside+cost+b.marginFor(cost) <= b.level()
	}
}

// grant charges the longest prefix of costs that fits.
func (v *survey) grant(costs []backend.Amounts) backend.Answer {
	answer := backend.Answer{Stamp: max(v.now, v.scope.since)}
	for _, b := range v.buckets {
		answer.Stamp = max(answer.Stamp, b.owner.since)
	}
	if answer.Stamp > v.now {
		v.scope.latest = max(v.scope.latest, answer.Stamp)
		for _, b := range v.buckets {
			b.owner.latest = max(b.owner.latest, answer.Stamp)
		}
	}
	for i, cost := range costs {
		if !v.fits(cost) {
			answer.Wait, answer.Paused = v.wait(cost, false)
			answer.Hint, _ = v.wait(sum(costs[i:]), true)
			break
		}
		for _, b := range v.buckets {
			b.used += float64(cost[b.dimension])
			b.charged += float64(cost[b.dimension])
		}
		answer.Granted++
	}
	return stand(answer, v.buckets)
}

func sum(costs []backend.Amounts) (total backend.Amounts) {
	for _, c := range costs {
		for d := range c {
			total[d] += c[d]
		}
	}
	return total
}

// fits reports whether the cost may start now.
func (v *survey) fits(cost backend.Amounts) bool {
	if v.scope.paused > v.now {
		return false
	}
	for _, b := range v.buckets {
		if b.owner.paused > v.now || !b.free(float64(cost[b.dimension])) {
			return false
		}
	}
	return true
}

// wait is how long until the cost fits if nothing is given back and those
// ahead start as soon as they can, and how much of that is a pause; in parts if
// it is the sum of several. It is at least a microsecond.
func (v *survey) wait(cost backend.Amounts, parts bool) (wait, paused time.Duration) {
	longest, pause := 1.0, max(0, float64(v.scope.paused-v.now))
	for i, b := range v.buckets {
		pause = max(pause, float64(b.owner.paused-v.now))
		c := float64(cost[b.dimension])
		if c == 0 {
			continue
		}
		ahead := max(0, b.aside)
		if v.waiting != nil {
			ahead = max(ahead, v.waiting[i])
		}
		lack := ahead + c + b.marginFor(c) - b.level()
		if c > b.capacity && !parts {
			lack = ahead + b.used
		}
		longest = max(longest, lack/b.rate)
	}
	return duration(max(longest, pause)), duration(pause)
}
