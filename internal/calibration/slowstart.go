package calibration

import "time"

const (
	// quiet is how long a slow start keeps its first pace without a response.
	quiet = 2 * time.Second
	// doubling is the time in which the pace doubles from then on, and from the end of a
	// pause.
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

// Some servers enforce limits in subwindows of one or ten seconds, which only throttles
// tell. Once a response has reported where the server stands, the pace is a multiple of
// the refill that such a subwindow would throttle while few calls are on their way, until
// so much has been drawn from the bucket at once that there is no subwindow of that
// length; but no longer than proofTime.
//
// The second factor is for servers that are known to enforce limits so.
var stages = [...]struct{ drawn, factor, careful float64 }{{1.2, 4, 4}, {11, 16, 5}}

const proofTime = 10 * time.Second

// ProbeTime is how long other calls wait for the outcome of the first call after a pause.
// The server throttles in less.
const ProbeTime = 250 * time.Millisecond

// PaceBurst is how much of the pace may be sent at once.
const PaceBurst = 250 * time.Millisecond

// A SlowStart paces a scope's calls until responses show how full the server's bucket is:
// ours looks full, the server's may not be. The pace is a multiple of what the limits
// refill. After a long pause it starts over, half-open: one call, the probe, goes first.
//
// The zero value has not begun. Factor, Timed, Blind, Unanswered, HalfOpen, FleetHalfOpen,
// Next and Calls change nothing.
type SlowStart struct {
	begun     time.Time // when the first call came
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
		s.begun, s.base, s.from = now, 1, now.Add(quiet-doubling)
	}
}

// Blind reports whether the first calls of a whole fleet have just gone, and none has a
// response: if the server's bucket is empty, a throttle is about to come.
func (s *SlowStart) Blind(now time.Time) bool {
	return !s.over && !s.responded && !s.begun.IsZero() && now.Sub(s.begun) < ProbeTime
}

// Unanswered is by how much the calls that may be in flight before any response have
// grown, or 0 for any number.
func (s *SlowStart) Unanswered(now time.Time) int {
	if s.responded {
		return 0
	}
	return int(s.factor(now))
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

// PausedTo is the end of the pause at which it last began anew; zero for none.
func (s *SlowStart) PausedTo() time.Time { return s.pausedTo }

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

// Factor is the multiple of a limit's refill at which calls may start; 0 where the slow
// start is over. drawn is how many seconds' refill have been drawn from its bucket at once;
// careful says that the server is known to enforce limits in subwindows.
func (s *SlowStart) Factor(now time.Time, drawn float64, careful bool) float64 {
	if !s.proving() {
		return s.factor(now)
	}
	if !s.Paces(now) {
		return 0
	}
	for _, stage := range stages {
		switch {
		case drawn >= stage.drawn:
		case careful:
			return stage.careful
		default:
			return stage.factor
		}
	}
	return 0
}

// proving reports whether the pace follows what has been drawn, and not time.
func (s *SlowStart) proving() bool { return s.responded && s.pausedTo.IsZero() }

// Paces reports whether Factor may be more than 0.
func (s *SlowStart) Paces(now time.Time) bool {
	if s.proving() {
		return !s.over && now.Sub(s.from) < proofTime
	}
	return s.factor(now) > 0
}

// Timed reports whether time alone, or the next response, lets more through.
func (s *SlowStart) Timed(now time.Time) bool { return !s.proving() && s.factor(now) > 0 }

// factor is what it is by time.
func (s *SlowStart) factor(now time.Time) float64 {
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
	f := s.factor(now)
	if s.proving() {
		f = s.Factor(now, 0, false)
	}
	if f == 0 {
		return 0
	}
	if s.responded {
		f = 1
	}
	return startCalls * int(f) << s.partial
}

// Answered records the response to a call sent at this time. One that reports no limits at all
// ends the slow start. One that leaves a window unknown doubles the calls in flight. careful says
// that the limits may be enforced in subwindows: otherwise a response that reports them ends the
// slow start, since the levels are known then.
func (s *SlowStart) Answered(now, sent time.Time, informed, complete, careful bool) {
	if s.over || !s.proving() && s.factor(now) == 0 || sent.Before(s.pausedTo) {
		return
	}
	if !informed || complete && !careful {
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
		s.base, s.from, s.responded = s.factor(now), now, true
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
	if s.proving() {
		return // the subwindow or the level is known now
	}
	if f := s.factor(now); f > 0 {
		s.base, s.from = f/2, now.Add(hold-doubling)
	}
}
