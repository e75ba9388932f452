package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A survey is what one ask finds: its buckets, and what those ahead may draw from
// them.
type survey struct {
	now     int64
	scope   *owner
	buckets []*bucket
	tickets int     // ahead
	ahead   []ahead // by bucket; nil if nobody is
}

// survey looks at the tickets before the place.
//
// What those ahead could draw must not be missing when they can start, and nothing
// else is withheld. A ticket that is held back elsewhere draws when its other buckets
// let it start, and until then this one refills. So for each bucket it is worked out
// what those ahead may have drawn by any time to come, and what will have refilled by
// then; the most by which the former is ahead must stay.
func (a *Account) survey(now int64, l *line, place int64, scope *owner, buckets []*bucket) survey {
	v := survey{now: now, scope: scope, buckets: buckets}
	if len(l.classes) == 0 {
		return v
	}
	var demands []*demand
	for _, c := range slices.Clone(l.classes) {
		front, more := l.front(c, place, micros(a.Lease))
		if len(front) > 0 {
			d := c.demand(now, front, more)
			v.tickets += d.tickets
			demands = append(demands, d)
		}
	}
	if len(demands) == 0 {
		return v
	}
	v.ahead = make([]ahead, len(buckets))
	for k, b := range buckets {
		v.ahead[k] = aheadIn(scope, b, demands)
	}
	return v
}

// A demand is what the tickets of a class before some place need, added up from one
// to the next. Those behind the first few count as much each as the mean of their
// class.
type demand struct {
	*class
	tickets int
	paused  float64 // for how long yet
	sums    []units // the first is zero
	starts  []float64
	drawn   float64
}

// units are amounts in each dimension.
type units [backend.Dimensions]float64

func (c *class) demand(now int64, front []*ticket, more int) *demand {
	c.scope.advance(now)
	d := &demand{class: c, tickets: len(front) + more, paused: max(0, float64(c.scope.paused-now)), sums: make([]units, 1, Heads+2)}
	for _, b := range c.buckets {
		b.owner.advance(now)
		d.paused = max(d.paused, float64(b.owner.paused-now))
	}
	var sum units
	for _, t := range front {
		for i, n := range t.need {
			sum[i] += float64(n)
		}
		d.sums = append(d.sums, sum)
	}
	if more > 0 {
		behind := float64(len(c.tickets) - len(front))
		for i, n := range c.need {
			rest := float64(n) - sum[i]
			sum[i] += rest * float64(more) / behind
		}
		d.sums = append(d.sums, sum)
	}
	d.starts = make([]float64, len(d.sums))
	return d
}

// all is what they need together.
func (d *demand) all() *units { return &d.sums[len(d.sums)-1] }

// schedule works out when the buckets but this one let the sums start: negative where
// they hold more. A single call starts on a full bucket at the latest.
func (d *demand) schedule(b *bucket) {
	for i := range d.starts {
		d.starts[i] = math.Inf(-1)
		if d.paused > 0 {
			d.starts[i] = d.paused
		}
	}
	for _, o := range d.buckets {
		if o == b || d.all()[o.dimension] == 0 {
			continue
		}
		need := 0.0
		for i := range d.sums {
			if i > 0 {
				more := d.sums[i][o.dimension] - d.sums[i-1][o.dimension]
				if d.sums[i][backend.Requests]-d.sums[i-1][backend.Requests] <= 1 {
					more = min(more, o.capacity)
				}
				need += more
			}
			d.starts[i] = max(d.starts[i], (need-o.level())/o.rate)
		}
	}
	for i := range d.starts {
		if math.IsInf(d.starts[i], -1) {
			d.starts[i] = 0
		}
	}
}

// by is how much of this dimension they have drawn by then.
func (d *demand) by(at float64, dimension backend.Dimension) float64 {
	n := len(d.starts)
	i := n - 1
	for i >= 0 && d.starts[i] > at {
		i--
	}
	switch {
	case i < 0:
		return 0
	case i == n-1:
		return d.sums[i][dimension]
	}
	part := (at - d.starts[i]) / (d.starts[i+1] - d.starts[i])
	return d.sums[i][dimension] + float64(part*(d.sums[i+1][dimension]-d.sums[i][dimension]))
}

const soon = float64(Soon / time.Microsecond)

// ready reports whether a call of theirs could start soon.
func (d *demand) ready() bool {
	switch {
	case d.starts[0] > soon:
		return false
	case d.starts[1] <= soon:
		return true
	}
	requests := d.sums[1][backend.Requests]
	return requests == 0 || d.by(soon, backend.Requests) >= 1
}

// A group is the demands that draw from another bucket too, which bounds what they
// draw together.
type group struct {
	bucket  *bucket
	demands []*demand
	part    float64 // the most that is drawn here for a unit there
	end     float64 // when it has let all of them start
}

// Ahead is what those ahead may draw from a bucket: at each of some times, by how much
// it exceeds the refill until then, as far as that depends on what is free now.
type ahead struct {
	at, excess []float64
	most       float64
	ready      bool // one of them could start soon
	tickets    int  // that hold up those behind: of their own scope, and others who could start soon
}

func aheadIn(scope *owner, b *bucket, all []*demand) (a ahead) {
	var demands []*demand
	var times []float64
	for _, d := range all {
		if slices.Contains(d.buckets, b) && d.all()[b.dimension] != 0 {
			demands = append(demands, d)
			d.schedule(b)
			a.ready = a.ready || d.ready()
			if d.scope == scope || d.starts[1] <= soon {
				a.tickets += d.tickets
			}
			times = append(times, d.starts...)
		}
	}
	groups := groupsOf(b, demands)
	for i := range groups {
		times = append(times, groups[i].end)
	}
	times = slices.DeleteFunc(times, func(t float64) bool { return t <= 0 })
	times = append(times, 0)
	slices.Sort(times)
	low := 0.0 // the lowest excess so far
	add := func(at float64, before bool) {
		sum := drawn(demands, groups, at, b.dimension, before)
		excess := sum - float64(b.rate*at)
		// What refills while the bucket is full is lost to all: what is drawn after
		// that does not depend on what is free now.
		is := min(excess, low+b.capacity)
		a.at, a.excess = append(a.at, at), append(a.excess, is)
		a.most = max(a.most, is)
		low = min(low, excess)
	}
	for _, at := range times {
		if at > 0 && slices.ContainsFunc(demands, func(d *demand) bool { return d.paused == at }) {
			add(at, true) // what is drawn jumps here
		}
		add(at, false)
	}
	return a
}

// drawn is what the demands have drawn by a time, or, with before, right before pauses
// end at it.
func drawn(demands []*demand, groups []group, at float64, dimension backend.Dimension, before bool) (sum float64) {
	for _, d := range demands {
		if d.drawn = 0; !before || d.paused != at {
			d.drawn = d.by(at, dimension)
		}
	}
	for i := range groups {
		groups[i].bound(at)
	}
	for _, d := range demands {
		sum += d.drawn
	}
	return sum
}

// groupsOf finds the buckets but b that several of the demands draw from.
func groupsOf(b *bucket, demands []*demand) (groups []group) {
	if len(demands) < 2 {
		return nil
	}
	for i, d := range demands {
		for _, o := range d.buckets {
			drawsFrom := func(d *demand) bool { return slices.Contains(d.buckets, o) && d.all()[o.dimension] != 0 }
			if o == b || !drawsFrom(d) || slices.ContainsFunc(demands[:i], drawsFrom) {
				continue // or it is known
			}
			g := group{bucket: o}
			there := 0.0
			for _, d := range demands[i:] {
				if drawsFrom(d) {
					g.demands = append(g.demands, d)
					g.part = max(g.part, d.ratio(b.dimension, o.dimension))
					there += d.all()[o.dimension]
				}
			}
			if len(g.demands) > 1 && !math.IsInf(g.part, 1) {
				g.end = (there - o.level()) / o.rate
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// ratio is the most of one dimension that a ticket needs for a unit of another.
func (d *demand) ratio(here, there backend.Dimension) (most float64) {
	for i := 1; i < len(d.sums); i++ {
		h, t := d.sums[i][here]-d.sums[i-1][here], d.sums[i][there]-d.sums[i-1][there]
		switch {
		case h <= 0:
		case t <= 0:
			return math.Inf(1)
		default:
			most = max(most, h/t)
		}
	}
	return most
}

// bound cuts what the group has drawn by then to what its bucket lets it at most.
func (g *group) bound(at float64) {
	sum := 0.0
	for _, d := range g.demands {
		sum += d.drawn
	}
	most := max(0, (g.bucket.level()+float64(g.bucket.rate*at))*g.part)
	if sum > most {
		for _, d := range g.demands {
			d.drawn *= most / sum
		}
	}
}

// free reports whether the k-th bucket holds the cost beside what is set aside. A
// cost above the capacity starts on a full bucket and leaves a debt.
func (v *survey) free(k int, cost float64) bool {
	b := v.buckets[k]
	var ahead ahead
	if v.ahead != nil {
		ahead = v.ahead[k]
	}
	switch {
	case cost == 0:
		return true
	case cost > b.capacity:
		return b.used == 0 && !ahead.ready
	default:
		return ahead.most+cost+b.marginFor(cost) <= b.level()
	}
}

// grant charges the longest prefix of costs that fits.
func (v *survey) grant(costs []backend.Amounts) backend.Answer {
	answer := backend.Answer{Stamp: v.now, Tickets: v.tickets}
	for i, cost := range costs {
		if !v.fits(cost) {
			wait, pause := v.wait(cost, false)
			answer.Wait, answer.Paused = duration(wait), duration(pause)
			answer.Hint = duration(v.hint(cost, sum(costs[i:]), wait, pause))
			break
		}
		for _, b := range v.buckets {
			b.used += float64(cost[b.dimension])
			b.charged += float64(cost[b.dimension])
			b.owner.charged = max(b.owner.charged, answer.Stamp)
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
	for k, b := range v.buckets {
		if b.owner.paused > v.now || !v.free(k, float64(cost[b.dimension])) {
			return false
		}
	}
	return true
}

// wait is how long until the cost fits if nothing is given back and those
// ahead start as soon as they can, and how much of that is a pause; in parts if
// it is the sum of several, in microseconds. It is at least one.
func (v *survey) wait(cost backend.Amounts, parts bool) (wait, paused float64) {
	longest, pause := 1.0, max(0, float64(v.scope.paused-v.now))
	for k, b := range v.buckets {
		pause = max(pause, float64(b.owner.paused-v.now))
		c := float64(cost[b.dimension])
		if c == 0 {
			continue
		}
		left := b.level() - c - b.marginFor(c)
		if c > b.capacity && !parts {
			left = -b.used
		}
		if v.ahead == nil {
			longest = max(longest, -left/b.rate)
		} else {
			longest = max(longest, v.ahead[k].until(left, b.rate))
		}
	}
	return max(longest, pause), pause
}

// until is when those ahead leave so much for good.
func (a *ahead) until(left, rate float64) float64 {
	i := len(a.at) - 1
	if a.excess[i] > left {
		return a.at[i] + (a.excess[i]-left)/rate
	}
	for i > 0 && a.excess[i-1] <= left {
		i--
	}
	if i == 0 {
		return 0
	}
	fall := (a.excess[i-1] - left) / (a.excess[i-1] - a.excess[i])
	return a.at[i-1] + float64(fall*(a.at[i]-a.at[i-1]))
}
