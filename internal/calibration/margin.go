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
	refusedMargin = 0.02 // after a refusal; it doubles with each, up to doubledMargin
	doubledMargin = 0.1
	// openingAnswers is after how many answers the allowance has fallen to a
	// third, learnedFade and learnedAnswers after what time and how many answers
	// everything else: both, for what goes wrong once in a thousand answers should
	// not be forgotten between.
	openingAnswers = 20
	learnedAnswers = 10_000
	learnedFade    = 30 * time.Minute
)

// seen is the largest shortfall that was seen, in parts of the limit.
type seen struct {
	part  float64
	at    time.Time
	heard int // answers by then
}

// set replaces it.
func (s *seen) set(now time.Time, part float64, heard int) {
	*s = seen{min(part, mostMargin), now, heard}
}

// left is what has not faded.
func (s *seen) left(now time.Time, heard int) float64 {
	return s.part * faded(now.Sub(s.at), heard-s.heard)
}

// faded is what is left of a margin so long and so many answers later.
func faded(age time.Duration, answers int) float64 {
	return math.Exp(-min(age.Seconds()/learnedFade.Seconds(), float64(max(0, answers))/learnedAnswers))
}

// Margin is how much of the limit to leave unused, in parts of it, so that what
// is not known of the server's bucket refuses nothing; 0 before the first
// answer. What does not depend on anything seen is what refills in some seconds,
// however long the period.
func (g *Gauge) Margin(now time.Time, limit float64) float64 {
	if g.first.IsZero() {
		return g.shortfall.left(now, g.heard)
	}
	unheard := max(0, g.charged-g.newest.Charged) / limit
	given := leastMargin + min(openingMargin, unheard)*math.Exp(-float64(g.heard)/openingAnswers)
	return min(mostMargin, seenMargin*g.shortfall.left(now, g.heard)+given*min(1, time.Minute.Seconds()/g.Period.Seconds()))
}
