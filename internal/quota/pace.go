package quota

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// Buckets appends to buckets a description of limits of the set and, after them, of what
// else holds calls back at present: the pace of a slow start, and ramps.
func (s *Set) Buckets(buckets []backend.Bucket, now time.Time, limits []*Limit) []backend.Bucket {
	n := len(buckets)
	buckets = s.Described(buckets, now, limits)
	for i, l := range limits {
		buckets[n+i].Margin = l.margin(now)
	}
	return buckets
}

// Described is Buckets without margins, which mean nothing to a settlement.
func (s *Set) Described(buckets []backend.Bucket, now time.Time, limits []*Limit) []backend.Bucket {
	for _, l := range limits {
		buckets = append(buckets, l.described(now))
	}
	switch {
	case s.start.FleetHalfOpen(now):
		buckets = append(buckets, s.probe(1))
	case s.start.Blind(now) && s.careful():
		buckets = append(buckets, s.probe(blindCalls))
	}
	return s.paces(buckets, now, limits)
}

// Forecast is Buckets without what holds calls back for a moment only: the probe counts a few
// calls, and says nothing of how long many will wait.
func (s *Set) Forecast(now time.Time, limits []*Limit) []backend.Bucket {
	return s.paces(Unpaced(now, limits), now, limits)
}

// paces appends the pace of a slow start, and ramps.
func (s *Set) paces(buckets []backend.Bucket, now time.Time, limits []*Limit) []backend.Bucket {
	paced := s.start.Paces(now) && s.careful()
	for _, l := range limits {
		if l.Period != minute || l.whole != nil {
			continue
		}
		if paced {
			if factor := s.factor(now, l); factor > 0 {
				buckets = append(buckets, s.pace(l, factor))
			}
		}
		if rate := l.Ramp(now); rate > 0 {
			buckets = append(buckets, slope(l, rate))
		}
	}
	return buckets
}

// factor is the multiple of a limit's refill at which a slow start lets calls go, or 0.
func (s *Set) factor(now time.Time, l *Limit) float64 {
	return s.start.Factor(now, l.drawn.Seconds(l.refill()), s.subwindows)
}

// Pace is how much of a limit a slow start lets through a minute, or 0 where it paces
// nothing.
func (s *Set) Pace(now time.Time, l *Limit) int64 {
	if l.Period != minute || l.whole != nil || !s.careful() {
		return 0
	}
	return int64(min(Largest, float64(l.Amount())*s.factor(now, l)))
}

// Pacing reports whether anything but limits and ramps holds calls back.
func (s *Set) Pacing(now time.Time) bool {
	return s.start.FleetHalfOpen(now) || s.start.Blind(now) && s.careful() ||
		slices.ContainsFunc(s.limits, func(l *Limit) bool { return s.Pace(now, l) > 0 })
}

const (
	// carefulRPM and carefulTPM are the tiers from which on a limit may be enforced in
	// subwindows (OpenAI's example is 60,000 RPM): there a second's refill is more than a
	// few calls. Below them the pace would cost more than what it guards against. Images
	// are as requests.
	carefulRPM, carefulTPM = 300, 200_000
	// blindCalls is how many calls of a whole fleet go before a throttle could have come
	// back, and firstCalls how many of a process that is not careful before any response.
	blindCalls, firstCalls = 8, 3
)

// careful reports whether a slow start paces the scope's calls.
func (s *Set) careful() bool {
	if s.subwindows || slices.ContainsFunc(s.limits, func(l *Limit) bool { return l.whole != nil }) {
		return true
	}
	careful, calls := true, false
	for _, l := range s.limits {
		switch {
		case l.Period != minute:
		case l.Dimension != backend.Tokens:
			if l.Amount() < carefulRPM {
				return false
			}
			calls = true
		case l.Amount() < carefulTPM:
			careful = false
		}
	}
	return careful || calls
}

// suspect reports whether a server that reports nothing may enforce the limits in subwindows:
// one that is of such a kind, or any if no known limit is below the tiers that are careful.
func (s *Set) suspect() bool {
	small := func(l *Limit) bool {
		return l.Period == minute && (l.Dimension != backend.Tokens && l.Amount() < carefulRPM || l.Dimension == backend.Tokens && l.Amount() < carefulTPM)
	}
	return s.complete() && (s.subwindows || !slices.ContainsFunc(s.limits, small))
}

// Unpaced describes limits and nothing else.
func Unpaced(now time.Time, limits []*Limit) []backend.Bucket {
	buckets := make([]backend.Bucket, len(limits))
	for i, l := range limits {
		buckets[i] = l.Bucket(now)
	}
	return buckets
}

// slope is the bucket that holds back traffic which may only grow slowly. Its limit is that of
// l, so that no cost seems too large for it.
func slope(l *Limit, rate float64) backend.Bucket {
	return backend.Bucket{
		Owner:     l.Owner,
		Name:      "ramp/" + l.Name,
		Dimension: l.Dimension,
		Limit:     l.Amount(),
		Period:    time.Duration(float64(l.Period) * float64(l.Amount()) / rate),
		Burst:     time.Second,
	}
}

// pace is the bucket that holds back a slow start: a multiple of the limit, of which a
// moment's worth may be used at once.
func (s *Set) pace(l *Limit, factor float64) backend.Bucket {
	return backend.Bucket{
		Owner:     s.owner,
		Name:      l.pace,
		Dimension: l.Dimension,
		Limit:     int64(min(Largest, float64(l.Amount())*factor)),
		Period:    l.Period,
		Burst:     max(paceLeast, time.Duration(float64(calibration.PaceBurst)/factor)),
	}
}

// paceLeast is the least burst of a pace: less refills between two asks.
const paceLeast = 60 * time.Millisecond

// probe is the bucket that lets so many calls of the whole fleet go first.
func (s *Set) probe(calls time.Duration) backend.Bucket {
	const many = 1 << 24 // so that no cost seems too large
	return backend.Bucket{
		Owner:     s.owner,
		Name:      "probe",
		Dimension: backend.Requests,
		Limit:     many,
		Period:    many * calibration.ProbeTime / calls,
		Burst:     calibration.ProbeTime,
	}
}

// Begin starts the slow start with the scope's first call.
func (s *Set) Begin(now time.Time) { s.start.Begin(now) }

// Paced reports whether a slow start, a backoff or a throughput holds calls back in this process,
// until some time has passed or the next response has come.
func (s *Set) Paced(now time.Time) bool {
	return s.start.Timed(now) || s.backoff.calls() > 0 || s.untold(now)
}

// untold reports whether calls go at the rate that throttles have shown, for want of limits.
func (s *Set) untold(now time.Time) bool { return s.throughput.holds(now) && !s.complete() }

// NextPace is how long until the slow start or the throughput by itself lets more through.
func (s *Set) NextPace(now time.Time) time.Duration {
	if s.untold(now) {
		if calls, next := s.throughput.calls(now); calls == 0 {
			return next
		}
	}
	return s.start.Next(now)
}

// Slots is how many more calls the slow start, a backoff and a throughput let into flight beside
// those in flight and those that are being asked for: −1 for any number.
func (s *Set) Slots(now time.Time, inFlight, asking int) int {
	slots := s.slots(now, inFlight, asking)
	if s.untold(now) {
		calls, _ := s.throughput.calls(now)
		if calls = max(0, calls-asking); slots < 0 {
			return calls
		}
		return min(calls, slots)
	}
	return slots
}

// slots is Slots without the throughput.
func (s *Set) slots(now time.Time, inFlight, asking int) int {
	if probing, wait := s.start.HalfOpen(now); probing && wait > 0 {
		return 0
	} else if probing {
		return max(0, 1-asking)
	}
	calls := s.start.Calls(now)
	switch {
	case calls == 0, !s.complete(): // mostly the slow start is over
	case s.careful():
		calls = 0
	default:
		calls = firstCalls * s.start.Unanswered(now)
	}
	if tries := s.backoff.calls(); tries > 0 && (calls == 0 || tries < calls) {
		calls = tries
	}
	if calls == 0 {
		return -1
	}
	return max(0, calls-inFlight-asking)
}

// longPause is how long a pause must be for those who have waited to start little by little
// after it: all at once they would run into the same throttle.
const longPause = time.Second

// PausedByOthers takes in that a backend says how long the scope is paused: another
// process may have been throttled, or have lifted a pause.
func (s *Set) PausedByOthers(now time.Time, d time.Duration) {
	if d < longPause && s.start.PausedTo().IsZero() {
		return
	}
	// What this process has paused itself, the backend may get a moment later.
	const lag = time.Second
	until := now.Add(d)
	lifted := s.start.PausedTo().Sub(until) > lag && now.Sub(s.restarted) > lag
	if lifted || d >= longPause && !s.start.Timed(now) {
		s.restart(now, until)
	}
}

// restart begins anew when a long pause will be over.
func (s *Set) restart(now, at time.Time) {
	s.restarted = now
	s.start.Restart(at)
	for _, l := range s.limits {
		l.tracker.Doubt(at)
	}
}
