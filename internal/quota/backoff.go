package quota

import "time"

// A backoff is how long to pause for throttles that say nothing about time, and how many calls to
// try after it. A throttle that comes after the pause for the one before doubles the pause, and a
// call that succeeds halves it. The zero value has seen none.
type backoff struct {
	pause    time.Duration
	at       time.Time // of the last throttle
	inFlight int       // other calls then
}

const (
	leastBackoff = time.Second
	mostBackoff  = time.Minute
)

// throttled takes in a throttle of a request that was sent at a time, while so many others are in
// flight, and returns the pause.
func (b *backoff) throttled(now, sent time.Time, inFlight int) time.Duration {
	switch {
	case b.pause == 0 || sent.Sub(b.at) > 2*mostBackoff: // nobody has tried for long
		b.pause = leastBackoff
	case sent.After(b.at):
		b.pause = min(2*b.pause, mostBackoff)
	}
	b.at, b.inFlight = now, inFlight
	return b.pause
}

// succeeded takes in that a request that was sent at a time has not been throttled.
func (b *backoff) succeeded(sent time.Time) {
	if sent.After(b.at) {
		if b.pause /= 2; b.pause < leastBackoff {
			b.pause = 0
		}
	}
}

// calls is how many may be in flight, or 0 for any number.
func (b *backoff) calls() int {
	if b.pause <= leastBackoff {
		return 0
	}
	return b.inFlight + int(mostBackoff/b.pause)
}
