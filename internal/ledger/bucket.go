package ledger

import (
	"math"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// An owner holds the buckets that are advanced, paused and cleared together.
type owner struct {
	name    string
	stamp   int64 // the time up to which the buckets have refilled
	since   int64 // charges before it are no longer settled
	paused  int64 // nothing starts before it
	charged int64 // the latest stamp of a charge to its buckets, or never
	nodes   int   // in lines: tickets draw from its buckets, or heed its pauses
	dirty   bool  // more has changed than time has passed; see Account.undo
	buckets []*bucket
}

// A bucket is kept as what is used of it, which refills towards 0: an unknown
// bucket is a full one, and a changed limit leaves what was used.
type bucket struct {
	owner     *owner
	name      string
	dimension backend.Dimension
	limit     float64
	rate      float64 // units per microsecond
	capacity  float64
	margin    float64
	ceiling   bool
	used      float64 // > capacity while there is a debt
	charged   float64 // in all
	raised    int     // how often a start has raised it
	corrected float64 // used = charged − refunds − refill + corrected
	born      int64   // when an ask first described it
	lowered   int64   // when a lower limit was last described
}

// advance refills all buckets up to now, if they have not been already.
func (o *owner) advance(now int64) {
	dt := now - o.stamp
	if dt <= 0 {
		return
	}
	o.stamp = now
	for _, b := range o.buckets {
		b.set(b.used - float64(b.rate*float64(dt)))
	}
}

// bucket returns the bucket that d names, with what is known of it from before it was
// lost.
func (o *owner) bucket(d *backend.Bucket) *bucket {
	for _, b := range o.buckets {
		if b.name == d.Name {
			b.raise(o.stamp, d)
			return b
		}
	}
	b := &bucket{owner: o, name: d.Name, used: max(0, d.Start), corrected: max(0, d.Start), born: o.stamp}
	o.buckets, o.dirty = append(o.buckets, b), true
	return b
}

// Rate is what refills in a microsecond.
func Rate(d *backend.Bucket) float64 { return float64(d.Limit) / float64(d.Period/time.Microsecond) }

// describe sets the limits and reports whether they changed.
func (b *bucket) describe(d *backend.Bucket) bool {
	b.margin, b.ceiling = d.Margin, d.Ceiling
	limit, capacity := float64(d.Limit), d.Capacity()
	rate := Rate(d)
	if limit == b.limit && rate == b.rate && capacity == b.capacity && d.Dimension == b.dimension {
		return false
	}
	if capacity+limit < b.most() {
		b.lowered = b.owner.stamp
	}
	b.dimension = d.Dimension
	b.limit, b.rate, b.capacity = limit, rate, capacity
	return true
}

// most is what may be used at most.
func (b *bucket) most() float64 { return b.capacity + b.limit }

// trim cuts what is used to what a limit allows that was lowered a period ago: a debt
// that was one period's worth under the old limit must not take longer under a lower one.
// Where processes disagree about the limit, what they have used stays used.
func (b *bucket) trim() {
	if most := b.most(); b.used > most && float64(b.owner.stamp-b.lowered) >= b.limit/b.rate {
		b.corrected += most - b.used
		b.used, b.owner.dirty = most, true
	}
}

func (b *bucket) level() float64 { return b.capacity - b.used }

// set changes what is used, within bounds: no bucket is more than full, and
// debts end at a level of −limit, for waiting longer would help nobody. What the
// bounds cut off counts as a correction.
func (b *bucket) set(used float64) {
	b.used = min(max(0, used), max(b.most(), b.used))
	b.corrected += b.used - used
}

// give returns units, or takes more where they are negative.
func (b *bucket) give(units float64) { b.set(b.used - units) }

// correct applies a correction as far as nobody else has.
func (b *bucket) correct(c backend.Correction) {
	if up := c.To > c.From; up && b.corrected < c.To || !up && b.corrected == c.From {
		used := b.used + (c.To - b.corrected)
		b.corrected = c.To
		b.set(used)
	}
}

// Young is for how long a bucket that was begun anew takes in what others know of it.
// Those who use it ask within that time. What the others have seen is old, and settled
// since.
const Young = time.Minute

// raise takes in d's Start if the bucket was lost after the answer that this goes back to. The
// bucket is corrected to what it would be if it had begun there, unless it is above that already.
func (b *bucket) raise(now int64, d *backend.Bucket) {
	age := now - b.born
	if d.Start <= 0 || d.StartStamp == 0 || d.StartStamp >= b.born || age >= Micros(Young) {
		return
	}
	to := d.Start + float64(b.rate*float64(age))
	if b.corrected < to {
		b.owner.dirty = true
		b.raised++
	}
	b.correct(backend.Correction{From: math.Inf(-1), To: to})
}

// needs is how much of a cost must be left for it to start.
func (b *bucket) needs(cost float64) float64 {
	if b.ceiling {
		return min(cost, 1)
	}
	return cost
}

// marginFor is what a start of this cost leaves in the bucket. It never makes a
// call wait for more than a full bucket.
func (b *bucket) marginFor(cost float64) float64 { return b.cut(b.margin, cost) }

func (b *bucket) cut(margin, cost float64) float64 {
	if b.ceiling {
		return 0
	}
	return min(margin, max(0, (b.capacity-cost)/2))
}
