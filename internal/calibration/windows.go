package calibration

import "time"

const (
	// alike is how far the ends of a window seem apart, by how long requests travel.
	alike = 100 * time.Millisecond
	// manyAlike is how many more throttles must agree than not.
	manyAlike = 5
)

// Windows are when those end in which a server may enforce a limit, if each of them begins
// afresh: its throttles are then over at the same time of each window, counted from when
// their requests were sent. The latest such time is nearest to the end: what is sent then and
// is fast arrives with the next window. The zero value knows nothing.
type Windows struct {
	latest time.Time
	agree  int // throttles, less those that do not
}

// Throttled takes in when a throttle is over, by windows of this length. It returns when the
// window ends, where that is known.
func (w *Windows) Throttled(over time.Time, length time.Duration) (ends time.Time, known bool) {
	before := (w.latest.Sub(over)%length + length) % length // a window's latest time
	switch after := length - before; {
	case before > alike && after > alike: // once in a while a request is slow
		if w.agree--; w.agree < 0 {
			*w = Windows{latest: over}
		}
		return over, false
	case before <= alike:
		over = over.Add(before)
	}
	if over.Sub(w.latest) > length/2 { // those of one window say the same
		w.agree = min(w.agree+1, 2*manyAlike)
	}
	w.latest = over
	return over, w.Known()
}

// Known reports whether the server enforces the limit in such windows.
func (w *Windows) Known() bool { return w.agree >= manyAlike }
