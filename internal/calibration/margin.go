package calibration

import (
	"math"
	"time"
)

// A margin is the part of a limit that is left unused: a least one, and 1.25 times the
// shortfall that was seen.
const (
	leastMargin = 0.005
	seenMargin  = 1.25
	mostMargin  = 0.5
	// mostUnproven is the most that is held back for refunds that no report covers yet.
	mostUnproven = 0.05
	// learnedFade is the time in which a shortfall fades to a third.
	learnedFade = 30 * time.Minute
)

// A shortfall is the most by which our bucket was seen to lag behind the server's, as a
// part of the limit.
type shortfall struct {
	part float64
	at   time.Time
}

func (s *shortfall) set(now time.Time, part float64) { *s = shortfall{min(part, mostMargin), now} }

// raise replaces the shortfall by a larger one.
func (s *shortfall) raise(now time.Time, part float64) {
	if part > s.left(now) {
		s.set(now, part)
	}
}

// left is the part that has not faded.
func (s *shortfall) left(now time.Time) float64 {
	if s.part == 0 {
		return 0
	}
	return s.part * math.Exp(-now.Sub(s.at).Seconds()/learnedFade.Seconds())
}

// Margin is the part of a limit to leave unused, so that nothing is throttled for what we
// do not know of the server's bucket. Before the first report it is the shortfall that
// others have seen. It grows with how fast the bucket is being emptied: nobody can know
// what happens between a request and its response.
func (t *Tracker) Margin(now time.Time) float64 {
	margin := min(mostMargin, max(t.CalmMargin(now)*t.rush(now), seenMargin*t.hidden())+t.unproven(now))
	if t.Exact && t.Reported() && t.unreported() == 0 && t.shortfall.left(now) < leastMargin/5 {
		margin = min(margin, t.beyondReport(now))
	}
	return margin
}

// beyondReport is what our bucket has more than the last response has reported, as a part of the
// limit. If nobody has charged anything since, what was reported may be used to the last.
func (t *Tracker) beyondReport(now time.Time) float64 {
	const rounding = 1e-3
	limit := t.flow.rate * t.Period.Seconds()
	used := max(0, t.flow.last.Used-t.flow.rate*now.Sub(t.flow.seenAt).Seconds())
	return max(0, t.newest.server-used-rounding) / limit
}

const (
	// lagOver is over how many reports the lag is averaged.
	lagOver = 8
	// mostReordered is the part of the limit above which what may have passed a request, or
	// been passed by it, leaves no average that says anything: a burst of the whole limit.
	mostReordered = 0.3
)

// hidden is the part of the limit by which the server's bucket seems to be ahead of ours: each
// report alone may include requests that overtook its own. What the usual margin covers adds
// nothing to it: processes that hold back more than others get less.
func (t *Tracker) hidden() float64 {
	if t.flow.rate == 0 {
		return 0
	}
	return max(0, t.lag) / (t.flow.rate * t.Period.Seconds())
}

// unproven is the part of the limit that was refunded for unused output, by anybody, since the
// last request that a report covers. The server may not have refunded it. It leaves out what
// others' reports have shown and corrected. It is 0 once the server is known to refund, and
// until anything is known it is no more than mostUnproven: a batch that declares far too much
// output lives on refunds. While our bucket is full, the server's catches up.
func (t *Tracker) unproven(now time.Time) float64 {
	if t.Exact || t.flow.rate == 0 || t.own == 0 || t.unused.decided() && !t.unused.kept {
		return 0
	}
	unused := t.unused.total - t.newest.unused
	unused *= max(1, (t.flow.last.Charged-t.origin)/t.own) // everybody's, as far as our own tell
	lost := t.flow.lost - t.newest.lost
	caughtUp := lost + max(0, t.flow.rate*now.Sub(t.flow.seenAt).Seconds()-t.flow.last.Used)
	refunded := t.refunded - t.newest.refunded
	corrected := max(0, t.flow.last.Corrected-lost-t.newest.ahead()) // for what the report does not tell
	part := max(0, min(unused, refunded-corrected)-caughtUp) / (t.flow.rate * t.Period.Seconds())
	if !t.unused.kept {
		part = min(part, mostUnproven)
	}
	return part
}

// CalmMargin is the margin while no more is spent than refills. The least margin shrinks
// where the period is longer than a minute: it is what refills in 0.3 seconds.
func (t *Tracker) CalmMargin(now time.Time) float64 {
	seen := t.shortfall.left(now)
	if t.first.IsZero() {
		return seen
	}
	return min(mostMargin, seenMargin*seen+leastMargin*min(1, time.Minute.Seconds()/t.Period.Seconds()))
}
