package calibration

import "time"

const (
	// swing is the part of the limit by which a server's bucket cannot have emptied
	// between two reports, beyond what others were refunded.
	swing = 0.2
	// manySwings is how many swings have no explanation. Each report forgets a
	// twentieth of them.
	manySwings = 3
	// suspicion is for how long the reports of such a server are ignored. It doubles
	// each time, up to longSuspicion.
	suspicion     = 10 * time.Minute
	longSuspicion = 2 * time.Hour
)

// trust is whether a server's reports make sense. What is used of a bucket may jump up
// whenever others use it, but falls only by refilling. The zero value trusts.
type trust struct {
	offset    float64 // of the server's bucket from ours, in the report of last
	last      Sent    // the latest request with a report; zero if there is none
	overtaken float64 // what requests were charged that may have overtaken it
	swings    float64
	sane      float64 // what was corrected before the first of the swings
	lostUntil time.Time
	span      time.Duration // for which it was last lost
}

// lost reports whether reports are to be ignored.
func (t *trust) lost(now time.Time) bool { return now.Before(t.lostUntil) }

// observe takes in a report, and reports whether it may be true. overtaken is what requests were
// charged that may have overtaken its own. When too many were not true, all that was corrected
// since sane should be undone.
func (t *trust) observe(now time.Time, r report, overtaken, limit, corrected float64) bool {
	if r.At.Before(t.last.At) {
		return true // we may have been more and more wrong since
	}
	if r.Charged-r.Cost < t.last.Charged && r.At.Sub(t.last.At) > Overtaking {
		t.last, t.swings = Sent{}, 0 // our bucket was lost, or forgotten, and has begun anew
	}
	// All that was charged meanwhile may have been too much, and what had overtaken the one before
	// may not have overtaken this one.
	offset := r.ahead()
	if !t.last.At.IsZero() && t.offset-offset-(r.Charged-t.last.Charged) > swing*limit+t.overtaken {
		t.swings++
	}
	t.offset, t.last, t.overtaken = offset, r.Sent, overtaken
	t.swings *= 0.95
	if t.swings < 0.5 {
		t.sane = corrected
	}
	if t.swings < manySwings {
		return true
	}
	t.span = min(max(suspicion, 2*t.span), longSuspicion)
	t.lostUntil, t.swings, t.last = now.Add(t.span), 0, Sent{}
	return false
}
