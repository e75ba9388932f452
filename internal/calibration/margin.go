package calibration

import (
	"math"
	"time"
)

// A margin is what is left unused of a limit, in parts of it: a least one, what has
// been seen to go wrong and a bit, and an allowance that fades with every answer.
const (
	leastMargin   = 0.005
	seenMargin    = 1.25
	openingMargin = 0.05
	mostMargin    = 0.5
	// openingAnswers is after how many answers the allowance has fallen to a
	// third, learnedFade after what time what was seen.
	openingAnswers = 20
	learnedFade    = 30 * time.Minute
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

// Margin is how much of the limit to leave unused, in parts of it, so that what
// is not known of the server's bucket refuses nothing; before the first answer what
// others have seen. What does not depend on anything seen is what refills in some
// seconds, however long the period.
func (g *Gauge) Margin(now time.Time, limit float64) float64 {
	if g.first.IsZero() {
		return g.shortfall.left(now)
	}
	given := leastMargin
	if g.Heard() { // else only refusals tell of it
		unheard := max(0, g.charged-g.newest.Charged) / limit
		given += min(openingMargin, unheard) * math.Exp(-float64(g.heard)/openingAnswers)
	}
	return min(mostMargin, seenMargin*g.shortfall.left(now)+given*min(1, time.Minute.Seconds()/g.Period.Seconds()))
}
