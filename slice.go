package ratelimiter

import (
	"slices"
	"time"
)

// Some limits are enforced in slices of their period: "60,000 requests/minute may
// be enforced as 1,000 requests/second" (OpenAI's help, article 6891753); Azure's
// are of one or ten seconds. No header tells, only refusals that come long before
// the limit is reached.
const (
	shortSlice = time.Second
	longSlice  = 10 * time.Second
	// sliceMargin is how far requests may crowd on their way.
	sliceMargin = 200 * time.Millisecond
	// sliceBelief is how long a slice is believed in after the last refusal.
	sliceBelief = time.Hour
)

// slice takes in that the server enforces a limit in slices, for it has refused
// a call for so long although the limit was not reached.
func (s *scope) slice(now time.Time, l *limit, refused time.Duration) {
	length := shortSlice
	if refused > shortSlice {
		length = longSlice
	}
	for _, known := range s.limits {
		if known.whole == l {
			known.burst = max(known.burst, length)
			if now.After(known.learnedAt) {
				known.learnedAt = now
			}
			return
		}
	}
	part := newLimit(l.owner, l.window)
	part.burst, part.whole, part.header, part.learnedAt = length, l, "a refusal by the server", now
	part.name += "/slice"
	s.limits = append(s.limits, part)
}

// dropSlices forgets slices that have refused nothing for long.
func (s *scope) dropSlices(now time.Time) {
	s.limits = slices.DeleteFunc(s.limits, func(l *limit) bool {
		return l.whole != nil && now.Sub(l.learnedAt) > sliceBelief
	})
}
