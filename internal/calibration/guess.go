package calibration

import "time"

// A guess is what calls in flight will have added to a bucket that is only now known. The report
// that made it known may be about a request that was admitted after them: then they are counted
// twice. Their own responses resolve that. A request was admitted before its response came, so what
// the fullest report shows includes all those that have one; the others come on top at most. The
// zero value has nothing to resolve.
type guess struct {
	since   time.Time // it is about the calls sent from then on
	pending float64   // the cost of those without a response
	begun   float64   // what is used at the beginning, the guess included
	ahead   float64   // by how much the fullest report is ahead of that: at first by less than nothing
}

// answered takes in that one of the calls has a response, and returns by how much less than was
// guessed is used at least, as a negative number.
func (g *guess) answered(cost, server float64) (by float64) {
	g.pending = max(0, g.pending-cost)
	g.ahead = max(g.ahead, server-g.begun)
	const least = 0.01 // of a call
	if by = g.ahead + g.pending; by > -least*cost {
		return 0
	}
	g.begun, g.ahead = g.begun+by, g.ahead-by
	return by
}

// Guess records that this amount of what the bucket begins with is a guess at calls in
// flight. It may be taken off again, even if charges are exact.
func (t *Tracker) Guess(amount float64) { t.raised += amount }

// Resolve has Guessed resolve a guess of this amount at calls that are in flight since a time, of a
// bucket that begins with used, the guess included.
func (t *Tracker) Resolve(since time.Time, amount, used float64) {
	t.guess, t.told = guess{since, amount, used, -amount}, true
}

// KeepGuess leaves what is not resolved yet to reports of later calls.
func (t *Tracker) KeepGuess() { t.guess, t.told = guess{}, false }

// Guessed takes in the report of a call, sent before the bucket was known, of which nothing was
// charged to it: it may be one of those guessed at. A correction from elsewhere leaves the rest of
// the guess to reports of later calls.
func (t *Tracker) Guessed(sent time.Time, cost, server float64) (c Correction, changed bool) {
	if sent.Before(t.guess.since) {
		return c, false
	}
	g, lag := t.guess, t.lag
	if by := g.answered(cost, server); by < 0 {
		c, changed = t.correct(by)
	}
	t.guess, t.lag = g, min(t.lag, max(0, lag)) // reports of a burst need not have shown that we were ahead
	return c, changed
}
