package ledger

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A survey is what one ask finds: its buckets, and what must stay in them for the
// tickets ahead.
type survey struct {
	now     int64
	scope   *owner
	buckets []*bucket
	ahead   int       // tickets
	aside   []float64 // by bucket; nil if nobody is ahead, as own
	own     []float64 // what those of the same scope need
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
	var demands []demand
	for _, c := range slices.Clone(l.classes) {
		front, more := l.front(c, place, micros(a.Lease))
		if len(front) > 0 {
			v.ahead += len(front) + more
			demands = append(demands, c.demand(now, front, more))
		}
	}
	if len(demands) == 0 {
		return v
	}
	v.aside, v.own = make([]float64, len(buckets)), make([]float64, len(buckets))
	var draws []draw
	for k, b := range buckets {
		draws = draws[:0]
		for i := range demands {
			d := &demands[i]
			if !slices.Contains(d.buckets, b) {
				continue
			}
			draws = d.from(b, draws)
			if d.scope == scope {
				v.own[k] += d.all()[b.dimension]
			}
		}
		v.aside[k] = most(draws, b.rate)
	}
	return v
}

// A demand is what the tickets of a class before some place need, added up from one
// to the next. Those behind the first few count as much each as the mean of their
// class.
type demand struct {
	*class
	paused float64 // for how long yet
	sums   []units // the first is zero
}

// units are amounts in each dimension.
type units [backend.Dimensions]float64

func (c *class) demand(now int64, front []*ticket, more int) demand {
	c.scope.advance(now)
	d := demand{class: c, paused: max(0, float64(c.scope.paused-now)), sums: make([]units, 1, heads+2)}
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
	return d
}

// all is what they need together.
func (d *demand) all() *units { return &d.sums[len(d.sums)-1] }

// start is when the buckets but this one let so many units start. It is negative
// where they hold more.
func (d *demand) start(b *bucket, sum *units) float64 {
	at := math.Inf(-1)
	if d.paused > 0 {
		at = d.paused
	}
	for _, o := range d.buckets {
		if o != b && d.all()[o.dimension] != 0 {
			at = max(at, (sum[o.dimension]-o.level())/o.rate)
		}
	}
	if math.IsInf(at, -1) {
		return 0
	}
	return at
}

// A draw is a change of what is drawn from a bucket, or of how fast.
type draw struct {
	at, units, rate float64
}

// from adds what the demand may draw from b, as time goes by.
func (d *demand) from(b *bucket, draws []draw) []draw {
	before := d.start(b, &d.sums[0])
	for i := 1; i < len(d.sums); i++ {
		units := d.sums[i][b.dimension] - d.sums[i-1][b.dimension]
		begin, end := before, d.start(b, &d.sums[i])
		before = end
		switch {
		case units == 0:
		case end <= 0:
			draws = append(draws, draw{units: units})
		case end <= begin:
			draws = append(draws, draw{at: end, units: units})
		default:
			rate := units / (end - begin)
			if begin < 0 {
				draws = append(draws, draw{units: rate * -begin})
				begin = 0
			}
			draws = append(draws, draw{at: begin, rate: rate}, draw{at: end, rate: -rate})
		}
	}
	return draws
}

// most is by how much the draws are ahead of the refill at most.
func most(draws []draw, refill float64) (most float64) {
	slices.SortStableFunc(draws, func(x, y draw) int { return cmp.Compare(x.at, y.at) })
	var at, drawn, rate float64
	for _, d := range draws {
		drawn += float64(rate * (d.at - at))
		at = d.at
		drawn += d.units
		rate += d.rate
		most = max(most, drawn-float64(refill*at))
	}
	return most
}

// free reports whether the k-th bucket holds the cost beside what is set aside. A
// cost above the capacity starts on a full bucket and leaves a debt.
func (v *survey) free(k int, cost float64) bool {
	b, aside := v.buckets[k], 0.0
	if v.aside != nil {
		aside = v.aside[k]
	}
	switch {
	case cost == 0:
		return true
	case cost > b.capacity:
		return b.used == 0 && aside <= 0
	default:
		return aside+cost+b.marginFor(cost) <= b.level()
	}
}

// grant charges the longest prefix of costs that fits.
func (v *survey) grant(costs []backend.Amounts) backend.Answer {
	answer := backend.Answer{Stamp: max(v.now, v.scope.since), Tickets: v.ahead}
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
	for k, b := range v.buckets {
		if b.owner.paused > v.now || !v.free(k, float64(cost[b.dimension])) {
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
	for k, b := range v.buckets {
		pause = max(pause, float64(b.owner.paused-v.now))
		c := float64(cost[b.dimension])
		if c == 0 {
			continue
		}
		ahead := 0.0
		if v.aside != nil {
			ahead = max(v.aside[k], v.own[k])
		}
		lack := ahead + c + b.marginFor(c) - b.level()
		if c > b.capacity && !parts {
			lack = ahead + b.used
		}
		longest = max(longest, lack/b.rate)
	}
	return duration(max(longest, pause)), duration(pause)
}
