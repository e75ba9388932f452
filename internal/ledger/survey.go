package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A survey is what one ask finds: its buckets, and who stands before it at each node on
// its path.
//
// What those before it may draw is set aside: of a bucket, what the tickets of the same
// scope ask for, and what the other nodes below the bucket's owner ask for that nothing
// of their own holds back. One that its own buckets hold back draws nothing meanwhile,
// and comes first when they let it on. A margin that one of them leaves is left by those
// behind it, too: if processes have learned different margins, those with small ones would
// otherwise start all there is before a larger one is free.
type survey struct {
	now     int64
	line    *line
	only    bool // it changes nothing
	scope   *owner
	buckets []*bucket
	path    []*owner
	place   float64   // of the ticket
	levels  []level   // by owner on the path
	tickets int       // before the cost that comes next
	aside   []float64 // for them, by bucket
	margins []float64 // that they leave at most
}

// A level is those who stand at a node of the path.
type level struct {
	node   *node
	self   *entry // the ticket's, or that of the node below on its path
	rivals []rival
	last   *entry // the last of the rivals, if there are others behind it
}

// Heads is how many of a node are looked at one by one.
const Heads = 4

// Tries is how many are found to be held back, in one ask and at one node, before the
// others count as if they were.
const Tries = 4

func newSurvey(now int64, l *line, scope *owner, buckets []*bucket, t *ticket, only bool) survey {
	v := survey{now: now, line: l, only: only, scope: scope, buckets: buckets, place: math.Inf(1)}
	if len(l.tickets) == 0 {
		return v
	}
	v.path, v.aside, v.margins = path(scope, buckets), make([]float64, len(buckets)), make([]float64, len(buckets))
	if t != nil {
		v.place = t.place
	}
	for i, o := range v.path {
		n := l.nodes[o]
		level := level{node: n}
		if n == nil {
			v.levels = append(v.levels, level)
			continue
		}
		if i == 0 && t != nil {
			level.self = &entry{tag: t.tag, place: t.place}
		} else if i > 0 {
			if below := l.nodes[v.path[i-1]]; below != nil && below.parent == n && below.stands {
				level.self = &below.at
			}
		}
		v.collect(&level)
		v.levels = append(v.levels, level)
	}
	return v
}

// collect finds the first few who stand at a node, without those who are held back.
func (v *survey) collect(level *level) {
	n := level.node
	first := slices.Clone(n.order[:min(Heads+Tries+1, len(n.order))])
	more := len(n.order) > len(first)
	blocked := 0
	for _, e := range first {
		if self := level.self; self != nil && e.tag == self.tag && e.place == self.place {
			continue
		}
		if len(level.rivals) == Heads {
			more = true
			break
		}
		if e.ticket != nil {
			t := e.ticket
			level.rivals = append(level.rivals, rival{
				entry: e, end: t.end, parts: t.parts, next: t.next, need: t.need,
				part: 1, tickets: 1, buckets: t.buckets, margins: t.margins,
			})
			continue
		}
		t := e.node.head() // it stands here because it has one
		if m, until := v.held(t, e.node.owner, n.owner); m != nil {
			if blocked++; blocked <= Tries && !v.only {
				v.line.block(m, t, until)
			}
			continue
		}
		r := rival{
			entry: e, end: e.node.end, parts: t.parts, next: t.next, need: e.node.need,
			part: v.part(e.node, t, n.owner), tickets: float64(e.node.standing), buckets: t.buckets, margins: t.margins,
		}
		if r.alike = len(t.parts) > 1 && !slices.ContainsFunc(t.parts, func(p part) bool { return !p.of(t.parts[0].flow) }); r.alike {
			r.first = t.need
		}
		level.rivals = append(level.rivals, r)
	}
	if more && len(level.rivals) > 0 {
		level.last = &level.rivals[len(level.rivals)-1].entry
	}
}

// held returns the first node on a ticket's path up to an owner whose own buckets do not let
// its first cost start soon, and when they do.
func (v *survey) held(t *ticket, upto, above *owner) (n *node, until float64) {
	for i, o := range pathUpTo(t, upto, above) {
		n = v.line.up(n, o)
		wait := o.pause(v.now)
		for k, b := range t.buckets {
			if b.owner == o || i == 0 && b.ceiling {
				wait = max(wait, b.owner.pause(v.now), b.until(v.now, float64(t.next[b.dimension]), t.margins[k]))
			}
		}
		if wait > soon {
			return n, float64(v.now) + wait
		}
	}
	return nil, 0
}

// pathUpTo is the part of a ticket's path below an owner. If the ticket does not name that one, it
// ends with another, which stands below it: other processes have other limits, and so have tickets
// that have not asked since those were changed.
func pathUpTo(t *ticket, upto, above *owner) []*owner {
	owners := path(t.scope, t.buckets)
	if at := slices.Index(owners, above); at >= 0 {
		return owners[:at]
	}
	return owners[:1+slices.Index(owners, upto)]
}

// pause is how long the owner is paused yet.
func (o *owner) pause(now int64) float64 { return float64(o.paused - max(now, o.stamp)) }

const soon = float64(Soon / time.Microsecond)

// until is how long until the bucket by itself lets a cost start with that margin.
func (b *bucket) until(now int64, cost, margin float64) float64 {
	cost = b.needs(cost)
	switch {
	case cost == 0:
		return 0
	case cost > b.capacity:
		return b.usedAt(now) / b.rate
	}
	return (cost + b.cut(margin, cost) - (b.capacity - b.usedAt(now))) / b.rate
}

// usedAt is what will be used of the bucket if nothing else happens.
func (b *bucket) usedAt(now int64) float64 {
	return max(0, b.used-float64(b.rate*float64(max(0, now-b.owner.stamp))))
}

// part is how much of what the node needs the buckets below an owner let start now.
func (v *survey) part(n *node, t *ticket, above *owner) float64 {
	part := 1.0
	for i, o := range pathUpTo(t, n.owner, above) {
		for _, b := range t.buckets {
			if need := float64(n.need[b.dimension]); (b.owner == o || i == 0 && b.ceiling) && need > 0 {
				part = min(part, max(0, b.capacity-b.usedAt(v.now))/need)
			}
		}
	}
	return part
}

// come has the survey look at what stands before a cost of that tag.
func (v *survey) come(tag float64) {
	clear(v.aside)
	clear(v.margins)
	tickets := 0.0
	for i := range v.levels {
		level := &v.levels[i]
		seen := 0
		for seen < len(level.rivals) && level.rivals[seen].before(tag, v.place) {
			seen++
		}
		if seen == 0 {
			continue
		}
		more := 1.0 // those behind the first few are as they are in the mean
		if behind := level.behind(tag, v.place); behind > 0 {
			more += float64(behind) / float64(seen)
		}
		for j := range level.rivals[:seen] {
			r := &level.rivals[j]
			first, rest := r.shares(tag)
			tickets += float64(max(1, math.Floor(first+float64((r.tickets-1)*rest))) * more)
			for k, b := range v.buckets {
				at := slices.Index(r.buckets, b)
				if at < 0 || !b.ceiling && slices.Index(v.path, b.owner) < i {
					continue
				}
				next, need := float64(r.next[b.dimension]), float64(r.first[b.dimension])
				need = float64(need*first) + float64((float64(r.need[b.dimension])-need)*rest)
				v.aside[k] += float64(max(next, need) * more)
				if next > 0 {
					v.margins[k] = max(v.margins[k], b.cut(r.margins[at], next))
				}
			}
		}
	}
	v.tickets = int(tickets)
}

// behind is how many stand at a node behind the rivals, and before a cost of that tag and
// place. It is negative if not all of the rivals do.
func (l *level) behind(tag, place float64) int {
	if l.last == nil {
		return 0
	}
	n := before(l.node.order, tag, place) - before(l.node.order, l.last.tag, l.last.place) - 1
	if s := l.self; s != nil && s.compare(l.last) > 0 && (s.tag < tag || s.tag == tag && s.place < place) {
		n--
	}
	return n
}

// asideOf is what is set aside of the k-th bucket.
func (v *survey) asideOf(k int) float64 {
	if v.aside == nil {
		return 0
	}
	return v.aside[k]
}

// marginFor is what a start of this cost leaves in the k-th bucket.
func (v *survey) marginFor(k int, cost float64) float64 {
	margin := v.buckets[k].marginFor(cost)
	if v.margins == nil {
		return margin
	}
	return max(margin, v.margins[k])
}

// free reports whether the k-th bucket holds the cost beside what is set aside. A
// cost above the capacity starts on a full bucket and leaves a debt.
func (v *survey) free(k int, cost float64) bool {
	b, aside := v.buckets[k], v.asideOf(k)
	cost = b.needs(cost)
	switch {
	case cost == 0:
		return true
	case cost > b.capacity:
		return b.used == 0 && aside == 0
	default:
		return aside+cost+v.marginFor(k, cost) <= b.level()
	}
}

// grant charges the costs in turn, as long as they fit.
func (v *survey) grant(ask *backend.Ask, parts []part, of []int) backend.Answer {
	answer := backend.Answer{Stamp: v.now}
	for i, cost := range ask.Costs {
		p := &parts[of[i]]
		v.come(p.tag)
		if i == 0 {
			answer.Tickets = v.tickets
		}
		if !v.fits(cost) {
			wait, pause := v.wait(cost, false)
			answer.Wait, answer.Paused = Duration(wait), Duration(pause)
			answer.Hint = Duration(v.hint(cost, sum(ask.Costs[i:]), wait, pause))
			break
		}
		v.start(cost, &answer)
		v.line.flows.serve(p, Units(ask, i))
	}
	if ask.Flows != nil {
		answer.Virtual = v.line.flows.virtual
	}
	return stand(answer, v.buckets)
}

// start charges a cost that fits.
func (v *survey) start(cost backend.Amounts, answer *backend.Answer) {
	for _, b := range v.buckets {
		b.used += float64(cost[b.dimension])
		b.charged += float64(cost[b.dimension])
		b.owner.charged = max(b.owner.charged, answer.Stamp)
	}
	answer.Granted++
}

// hold takes the nodes of a ticket that has come to be their first out of the way if
// their own buckets hold it back, and puts them back if not.
func (v *survey) hold(t *ticket) {
	l, owners := v.line, path(v.scope, v.buckets)
	top := owners[len(owners)-1]
	m, until := v.held(t, nil, top)
	var n *node
	for _, o := range owners {
		n = l.up(n, o)
		if o == top || n.head() != t {
			return
		}
		if n == m {
			if n.until == 0 || n.held != t.place || math.Abs(until-n.until) >= float64(Micros(Close)) {
				l.block(n, t, until)
			}
			return
		}
		if n.until > 0 {
			l.unblock(n)
			l.stand(n)
		}
	}
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
	for k, b := range v.buckets {
		if b.owner.paused > v.now || !v.free(k, float64(cost[b.dimension])) {
			return false
		}
	}
	return true
}

// wait is how long until the cost fits if nothing is given back and those before it
// start as soon as they can, and how much of that is a pause; in parts if it is the sum
// of several, in microseconds. It is at least one.
func (v *survey) wait(cost backend.Amounts, parts bool) (wait, paused float64) {
	longest, pause := 1.0, max(0, float64(v.scope.paused-v.now))
	for k, b := range v.buckets {
		pause = max(pause, float64(b.owner.paused-v.now))
		c := b.needs(float64(cost[b.dimension]))
		if c == 0 {
			continue
		}
		left := b.level() - c - v.marginFor(k, c)
		if c > b.capacity && !parts {
			left = -b.used
		}
		longest = max(longest, (v.asideOf(k)-left)/b.rate)
	}
	return max(longest, pause), pause
}

// ahead is how many stand before a ticket.
func (l *line) ahead(t *ticket) int {
	if n := l.nodes[t.scope]; n != nil {
		return before(n.order, t.tag, t.place)
	}
	return 0 // it is silent, and nobody else of its scope stands there
}
