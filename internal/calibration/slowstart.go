package calibration

import "time"

const (
	// quiet is how long a slow start keeps its first pace without a response.
	quiet = 2 * time.Second
	// doubling is the time in which the pace doubles from then on, or from the first
	// response.
	doubling = time.Second
	// hold is how long the pace does not double after the server has throttled a call.
	hold = 5 * time.Second
	// unbound is the factor from which on a slow start holds nothing back.
	unbound = 64
	// startCalls is how many calls may be in flight where no limit is known.
	startCalls = 4
	// mostPartial is how many responses that leave a window unknown end a slow start.
	mostPartial = 8
)

// ProbeTime is how long other calls wait for the outcome of the first call after a pause.
// The server throttles in less.
const ProbeTime = 250 * time.Millisecond

// PaceBurst is how much of the pace may be sent at once.
const PaceBurst = 250 * time.Millisecond

// A SlowStart paces a scope's calls until responses show how full the server's bucket is:
// ours looks full, the server's may not be. The pace is a multiple of what the limits
// refill. After a long pause it starts over, half-open: one call, the probe, goes first.
//
// The zero value has not begun. Factor, HalfOpen, FleetHalfOpen, Next and Calls change
// nothing.
type SlowStart struct {
	base      float64   // the factor at from
	from      time.Time // when doubling starts
	responded bool
	partial   int // responses that left a window unknown
	over      bool
	pausedTo  time.Time // earlier responses say nothing about what comes after
	probe     bool      // a call goes first
	probed    time.Time // when it went; zero before
}

// Begin records the first request.
func (s *SlowStart) Begin(now time.Time) {
	if s.from.IsZero() {
		s.base, s.from = 1, now.Add(quiet-doubling)
	}
}

// Skip ends a slow start that has not begun, since others in the fleet know how full the
// server's bucket is.
func (s *SlowStart) Skip() {
	if s.from.IsZero() {
		s.over = true
	}
}

// Restart begins anew at the end of a pause: waiting calls start as carefully as at first.
func (s *SlowStart) Restart(at time.Time) {
	*s = SlowStart{base: 1, from: at.Add(quiet - doubling), pausedTo: at, probe: true}
}

// Sent records that a call starts.
func (s *SlowStart) Sent(now time.Time) {
	const rounding = time.Millisecond // of the backend's clock
	if s.probe && s.probed.IsZero() && !now.Add(rounding).Before(s.pausedTo) {
		s.probed = now
	}
}

// HalfOpen reports whether a call of this process goes first, and for how much longer the
// others wait for its outcome. The wait is 0 if the call has not started.
func (s *SlowStart) HalfOpen(now time.Time) (first bool, wait time.Duration) {
	if !s.probe {
		return false, 0
	}
	if s.probed.IsZero() {
		return true, 0
	}
	if wait = ProbeTime - now.Sub(s.probed); wait <= 0 {
		return false, 0
	}
	return true, wait
}

// FleetHalfOpen reports whether one call of the whole fleet goes first. Calls of other
// processes follow once the server could have throttled it.
func (s *SlowStart) FleetHalfOpen(now time.Time) bool {
	return s.probe && now.Before(s.pausedTo.Add(ProbeTime))
}

// Factor is the multiple of the limits' refill at which calls may start, or 0 if the slow
// start is over.
func (s *SlowStart) Factor(now time.Time) float64 {
	if s.over {
		return 0
	}
	f := max(1, s.base)
	if since := now.Sub(s.from); !s.from.IsZero() && since >= doubling {
		f *= float64(int64(1) << min(62, since/doubling))
	}
	if f >= unbound {
		return 0
	}
	return f
}

// Next is how long until Factor or Calls grow by themselves, or a probe is over.
func (s *SlowStart) Next(now time.Time) time.Duration {
	if first, wait := s.HalfOpen(now); first && wait > 0 {
		return wait
	}
	since := now.Sub(s.from)
	if since < doubling {
		return doubling - since
	}
	return doubling - since%doubling
}

// Calls is how many calls may be in flight where no limit is known, or 0 for any number.
func (s *SlowStart) Calls(now time.Time) int {
	f := s.Factor(now)
	if f == 0 {
		return 0
	}
	if s.responded {
		f = 1
	}
	return startCalls * int(f) << s.partial
}

// Answered records a response. One that reports no limits at all ends the slow start.
// One that leaves a window unknown doubles the calls in flight.
func (s *SlowStart) Answered(now time.Time, informed, complete bool) {
	if s.Factor(now) == 0 || now.Before(s.pausedTo) {
		return
	}
	if !informed {
		s.over = true
		return
	}
	if !complete {
		s.partial++
		if s.partial >= mostPartial {
			s.over = true
		}
	}
	if !s.responded {
		s.base, s.from, s.responded = s.Factor(now), now, true
	}
}

// Succeeded records that a call sent at this time got a response and was not throttled.
func (s *SlowStart) Succeeded(sent time.Time) {
	if !s.probed.IsZero() && !sent.Before(s.probed) {
		s.probe = false
	}
}

// Throttled records a call that the server has throttled: the pace halves, and does not
// double for 5 s.
func (s *SlowStart) Throttled(now time.Time) {
	if f := s.Factor(now); f > 0 {
		s.base, s.from = f/2, now.Add(hold-doubling)
	}
}
