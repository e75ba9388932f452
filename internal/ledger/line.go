package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A line is the order between the processes that share a bucket. What an ask finds
// in it costs the same however many stand there: they are kept by class, and it looks
// at few of each.
type line struct {
	tickets map[string]*ticket
	classes []*class
	silent  []*ticket // that have been stepped over
	last    int64     // the last place that was given away
	stamp   int64     // when somebody last came
	clock   int64     // the line's own time, in which nobody's silence is the store's
	steps   int       // how many tickets this ask may yet step over

	// How far patrol has come.
	patrolled *class
	place     int64
}

// A ticket is one process's place for one scope. It has charged nothing.
type ticket struct {
	id     string
	place  int64
	number uint64
	answer backend.Answer // to number
	seen   int64          // when it last asked, by the line's clock
	silent bool           // it has been stepped over since
	need   backend.Amounts
	class  *class
}

// A class is the tickets of a line that draw from the same buckets.
type class struct {
	scope   *owner
	buckets []*bucket
	tickets []*ticket       // in the order of their places, without the silent
	need    backend.Amounts // of all of them
}

// hold has its owners kept while there is such a class, or no longer where n is -1.
func (c *class) hold(n int) {
	c.scope.classes += n
	for _, b := range c.buckets {
		b.owner.classes += n
	}
}

// before is how many of its tickets have a place before that one.
func (c *class) before(place int64) int {
	n, _ := slices.BinarySearchFunc(c.tickets, place, func(t *ticket, p int64) int { return cmp.Compare(t.place, p) })
	return n
}

// enter puts the ticket into the class of these buckets, where its place is.
func (l *line) enter(t *ticket, scope *owner, buckets []*bucket) {
	if l.tickets == nil {
		l.tickets = map[string]*ticket{}
	}
	l.tickets[t.id] = t
	at := slices.IndexFunc(l.classes, func(c *class) bool { return c.scope == scope && slices.Equal(c.buckets, buckets) })
	if at < 0 {
		at = len(l.classes)
		l.classes = append(l.classes, &class{scope: scope, buckets: buckets})
		l.classes[at].hold(1)
	}
	t.class = l.classes[at]
	t.class.tickets = slices.Insert(t.class.tickets, t.class.before(t.place), t)
	for d, n := range t.need {
		t.class.need[d] += n
	}
}

// leave takes the ticket out of its class, where another may have its place already.
func (l *line) leave(t *ticket) {
	c := t.class
	at := c.before(t.place)
	if c.tickets[at] != t {
		at++
	}
	c.tickets = slices.Delete(c.tickets, at, at+1)
	for d, n := range t.need {
		c.need[d] -= n
	}
	if len(c.tickets) == 0 {
		l.classes = slices.DeleteFunc(l.classes, func(x *class) bool { return x == c })
		c.hold(-1)
	}
}

// remove forgets the ticket, if there is one.
func (l *line) remove(t *ticket) {
	switch {
	case t == nil:
		return
	case t.silent:
		l.silent = slices.DeleteFunc(l.silent, func(x *ticket) bool { return x == t })
	default:
		l.leave(t)
	}
	delete(l.tickets, t.id)
}

// stepOver takes a silent ticket out of everybody's way.
func (l *line) stepOver(t *ticket) {
	l.steps--
	l.leave(t)
	t.silent = true
	l.silent = append(l.silent, t)
}

// comeBack gives a ticket that was only slow its place again.
func (l *line) comeBack(t *ticket, scope *owner, buckets []*bucket) {
	l.remove(t)
	t.silent = false
	l.enter(t, scope, buckets)
}

const (
	// Gap is the most that a line's clock advances from one ask to the next. Those in
	// line ask more often; while the store answers nobody, nobody is silent.
	Gap = 500 * time.Millisecond
	// Stepped is how many tickets an ask steps over, or forgets, at most.
	Stepped = 256
)

// tick lets the line's time pass.
func (l *line) tick(now int64) {
	l.clock += min(max(0, now-l.stamp), micros(Gap))
	l.stamp = now
	l.steps = Stepped
}

// ahead is how many tickets stand before the place.
func (l *line) ahead(place int64) (n int) {
	for _, c := range l.classes {
		n += c.before(place)
	}
	return n
}

// Rounds is how many tickets each ask checks.
const Rounds = 2

// patrol steps over the silent among the next few tickets, class by class and round
// again, and goes on while it finds some: surveys don't come to those who died far
// behind. The ticket that asks is not one of them.
func (l *line) patrol(lease int64, asks string) {
	if lease == 0 {
		return
	}
	for found := true; found; {
		found = false
		var silent []*ticket
		checked := 0
		for ; checked < Rounds; checked++ {
			t := l.next()
			if t == nil {
				break
			}
			if t.id != asks && l.clock-t.seen > lease && len(silent) < l.steps {
				silent = append(silent, t)
			}
		}
		for _, t := range silent {
			l.stepOver(t)
			found = true
		}
		if checked < Rounds {
			l.patrolled = nil
			return
		}
	}
}

// next is the ticket that patrol comes to, or nil after the last one.
func (l *line) next() *ticket {
	at := max(0, slices.Index(l.classes, l.patrolled))
	for ; at < len(l.classes); at++ {
		c := l.classes[at]
		if c != l.patrolled {
			l.patrolled, l.place = c, 0
		}
		if n := c.before(l.place + 1); n < len(c.tickets) {
			l.place = c.tickets[n].place
			return c.tickets[n]
		}
	}
	return nil
}

// erase forgets those who were stepped over and have been silent for too long.
func (l *line) erase(after int64) {
	if after == 0 {
		return
	}
	gone := slices.DeleteFunc(slices.Clone(l.silent), func(t *ticket) bool { return l.clock-t.seen <= after })
	for _, t := range gone[:min(len(gone), Stepped)] {
		l.remove(t)
	}
}

// Heads is how many tickets of a class are looked at one by one.
const Heads = 4

// front returns the first tickets of the class before the place, none of them
// silent, and how many more there are.
func (l *line) front(c *class, place, lease int64) (front []*ticket, more int) {
	n := 0
	for n < Heads && n < len(c.tickets) && c.tickets[n].place < place {
		if t := c.tickets[n]; lease > 0 && l.clock-t.seen > lease && l.steps > 0 {
			l.stepOver(t)
			continue
		}
		n++
	}
	return c.tickets[:n], c.before(place) - n
}
