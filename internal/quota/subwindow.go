package quota

import (
	"slices"
	"time"
)

// Some limits are enforced in subwindows of their period: "60,000 requests/minute may be
// enforced as 1,000 requests/second" (OpenAI's help, article 6891753); Azure's evaluation
// periods are of one or ten seconds. No header reports them, only throttles that come long
// before the limit is reached.
const (
	shortSubwindow = time.Second
	longSubwindow  = 10 * time.Second
	// subwindowMargin is how far requests may crowd on their way.
	subwindowMargin = 200 * time.Millisecond
	// subwindowBelief is how long a subwindow is believed in after its last throttle.
	subwindowBelief = time.Hour
)

// subwindow takes in that the server enforces a limit in subwindows, for it has throttled
// a call for so long although the limit was not reached.
func (s *Set) subwindow(now time.Time, l *Limit, throttled time.Duration) {
	length := shortSubwindow
	if throttled > shortSubwindow {
		length = longSubwindow
	}
	for _, known := range s.limits {
		if known.whole == l {
			known.burst = max(known.burst, length)
			if now.After(known.reportAt) {
				known.reportAt = now
			}
			return
		}
	}
	part := newLimit(l.Owner, l.Kind)
	part.burst, part.whole, part.source, part.reportAt = length, l, throttleSource, now
	part.Name += "/subwindow"
	s.add(part)
}

// dropSubwindows forgets those that have throttled nothing for long.
func (s *Set) dropSubwindows(now time.Time) {
	stale := func(l *Limit) bool { return l.whole != nil && now.Sub(l.reportAt) > subwindowBelief }
	if slices.ContainsFunc(s.limits, stale) {
		s.limits = slices.DeleteFunc(slices.Clone(s.limits), stale)
	}
}
