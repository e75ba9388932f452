package calibration

import "time"

const (
	// swing is by how much of the limit a server's bucket can't have emptied
	// between two answers, but for what others are given back.
	swing = 0.2
	// manySwings is how many of them, of which each answer makes a twentieth be
	// forgotten, are not to be explained.
	manySwings = 3
	// suspicion is for how long the figures of such a server are ignored; it
	// doubles up to longSuspicion.
	suspicion     = 10 * time.Minute
	longSuspicion = 2 * time.Hour
)

// trust is whether a server's figures make sense. What is used of a bucket may
// jump up whenever others use it; down it goes by refilling. The zero value trusts.
type trust struct {
	offset float64 // of the server from us, in the answer to what was sent last
	last   Sent    // that; zero where there is none
	swings float64
	sane   float64 // what corrected was before the first of them
	until  time.Time
	span   time.Duration
}

// lost reports whether the figures are to be ignored.
func (t *trust) lost(now time.Time) bool { return now.Before(t.until) }

// hear takes in where the server stood, beside where we would have stood without
// corrections. If that can't be true for too often it reports false, and what
// was corrected since it began should be undone.
func (t *trust) hear(now time.Time, a answered, limit, corrected float64) bool {
	if a.At.Before(t.last.At) {
		return true // we may have been more and more wrong since
	}
	if a.Charged-a.Cost < t.last.Charged && a.At.Sub(t.last.At) > overtaking {
		t.last, t.swings = Sent{}, 0 // our bucket was lost, or forgotten, and has begun anew
	}
	// All that was charged meanwhile may have been too much.
	offset := a.ahead()
	if !t.last.At.IsZero() && t.offset-offset-(a.Charged-t.last.Charged) > swing*limit {
		t.swings++
	}
	t.offset, t.last = offset, a.Sent
	t.swings *= 0.95
	if t.swings < 0.5 {
		t.sane = corrected
	}
	if t.swings < manySwings {
		return true
	}
	t.span = min(max(suspicion, 2*t.span), longSuspicion)
	t.until, t.swings, t.last = now.Add(t.span), 0, Sent{}
	return false
}
