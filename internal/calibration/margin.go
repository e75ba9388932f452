package calibration

import (
	"math"
	"time"
)

// A margin is what is left unused of a limit, in parts of it: a least one, and what has
// been seen to go wrong and a bit.
const (
	leastMargin = 0.005
	seenMargin  = 1.25
	mostMargin  = 0.5
	// learnedFade is after what time what was seen has fallen to a third.
	learnedFade = 30 * time.Minute
)

// seen is the largest shortfall that was seen, in parts of the limit.
type seen struct {
	part float64
	at   time.Time
}

// set replaces it.
func (s *seen) set(now time.Time, part float64) { *s = seen{min(part, mostMargin), now} }

// left is what has not faded.
func (s *seen) left(now time.Time) float64 {
	return s.part * math.Exp(-now.Sub(s.at).Seconds()/learnedFade.Seconds())
}

// Margin is how much of a limit to leave unused, in parts of it, so that what is not
// known of the server's bucket refuses nothing; before the first answer what others
// have seen. It grows with how fast the bucket is being emptied: what nobody can know is
// what happens between a request and its response.
func (g *Tracker) Margin(now time.Time) float64 {
	return min(mostMargin, g.CalmMargin(now)*g.rush(now))
}

// CalmMargin is the margin while no more is spent than refills. The least one is what
// refills in some tenths of a second, however long the period.
func (g *Tracker) CalmMargin(now time.Time) float64 {
	seen := g.shortfall.left(now)
	if g.first.IsZero() {
		return seen
	}
	return min(mostMargin, seenMargin*seen+leastMargin*min(1, time.Minute.Seconds()/g.Period.Seconds()))
}
