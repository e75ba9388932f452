package calibration

import "time"

const (
	// quiet is how long a slow start keeps its first pace without a response.
	quiet = 2 * time.Second
	// doubling is how often the pace doubles from then on, and after a pause from its end.
	doubling = time.Second
	// hold is how long a throttle stops it from doubling.
	hold = 5 * time.Second
	// open is the factor from which on it binds nothing.
	open = 64
	// openingCalls is how many calls are sent where no limit is known.
	openingCalls = 4
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

// ProbeTime is how long others wait for what becomes of the first call after a pause: a
// refusal comes back in less.
const ProbeTime = 250 * time.Millisecond

// PaceBurst is how much of the pace may be sent at once.
const PaceBurst = 250 * time.Millisecond

// A SlowStart is how a scope starts while nobody knows where the server stands:
// our bucket looks full, the server's may not be. Its pace is a multiple of
// what the limits refill. The zero value has not begun.
type SlowStart struct {
	begun    time.Time // when the first call came
	base     float64   // the factor at from
	from     time.Time // when doubling starts
	answered bool
	calls    int // that have been answered without telling the limits
	over     bool
	shut     time.Time // answers before it say nothing about what comes after
	probe    bool      // a call goes first
	probed   time.Time // when it went
}

// Begin notes the first request.
func (o *SlowStart) Begin(now time.Time) {
	if o.from.IsZero() {
		o.begun, o.base, o.from = now, 1, now.Add(quiet-doubling)
	}
}

// Blind reports whether the first calls of a whole fleet have just gone, and none has been
// answered: were the server's bucket empty, a throttle would be about to come.
func (o *SlowStart) Blind(now time.Time) bool {
	return !o.over && !o.answered && !o.begun.IsZero() && now.Sub(o.begun) < ProbeTime
}

// Unanswered is how many calls may be in flight, of each that may before any response; 0
// where any number may.
func (o *SlowStart) Unanswered(now time.Time) int {
	if o.answered {
		return 0
	}
	return int(o.factor(now))
}

// Skip ends an opening in a process of a fleet that knows where the server
// stands.
func (o *SlowStart) Skip() {
	if o.from.IsZero() {
		o.over = true
	}
}

// Restart begins anew at a time to come, when a pause is over: those who wait are
// let go as carefully as at first.
func (o *SlowStart) Restart(at time.Time) {
	*o = SlowStart{base: 1, from: at.Add(quiet - doubling), shut: at, probe: true}
}

// Sent notes that a call goes.
func (o *SlowStart) Sent(now time.Time) {
	const rounding = time.Millisecond // of the backend's clock
	if o.probe && o.probed.IsZero() && !now.Add(rounding).Before(o.shut) {
		o.probed = now
	}
}

// HalfOpen reports whether a call of this process goes first, and for how long the
// others wait for it yet; 0 where it has not gone.
func (o *SlowStart) HalfOpen(now time.Time) (first bool, wait time.Duration) {
	if !o.probe {
		return false, 0
	}
	if o.probed.IsZero() {
		return true, 0
	}
	if wait = ProbeTime - now.Sub(o.probed); wait <= 0 {
		return false, 0
	}
	return true, wait
}

// FleetHalfOpen reports whether of a whole fleet one call goes first: those of the other
// processes follow when it could have been refused.
func (o *SlowStart) FleetHalfOpen(now time.Time) bool {
	return o.probe && now.Before(o.shut.Add(ProbeTime))
}

// Factor is the multiple of a limit's refill at which calls may start; 0 where the slow
// start is over. drawn is how many seconds' refill have been drawn from its bucket at once;
// careful says that the server is known to enforce limits in subwindows.
func (o *SlowStart) Factor(now time.Time, drawn float64, careful bool) float64 {
	if !o.proving() {
		return o.factor(now)
	}
	if !o.over && now.Sub(o.from) < proofTime {
		for _, s := range stages {
			switch {
			case drawn >= s.drawn:
			case careful:
				return s.careful
			default:
				return s.factor
			}
		}
	}
	return 0
}

// proving reports whether the pace follows what has been drawn, and not time.
func (o *SlowStart) proving() bool { return o.answered && o.shut.IsZero() }

// Timed reports whether time alone, or the next response, lets more through.
func (o *SlowStart) Timed(now time.Time) bool { return !o.proving() && o.factor(now) > 0 }

// factor is what it is by time.
func (o *SlowStart) factor(now time.Time) float64 {
	if o.over {
		return 0
	}
	f := max(1, o.base)
	if since := now.Sub(o.from); !o.from.IsZero() && since >= doubling {
		f *= float64(int64(1) << min(62, since/doubling))
	}
	if f >= open {
		return 0
	}
	return f
}

// Next is when Factor or Calls grow by themselves, or a probe is over.
func (o *SlowStart) Next(now time.Time) time.Duration {
	if first, wait := o.HalfOpen(now); first && wait > 0 {
		return wait
	}
	since := now.Sub(o.from)
	if since < doubling {
		return doubling - since
	}
	return doubling - since%doubling
}

// Calls is how many may be in flight where no limit is known; 0 where any
// number may.
func (o *SlowStart) Calls(now time.Time) int {
	f := o.factor(now)
	if o.proving() {
		f = o.Factor(now, 0, false)
	}
	if f == 0 {
		return 0
	}
	if o.answered {
		f = 1
	}
	return openingCalls * int(f) << o.calls
}

// Answered notes a response. Where it has reported no limits at all the gate opens; where
// it left a window unknown the calls in flight double. careful says that the limits are
// such as may be enforced in subwindows: elsewhere an informed response ends the slow
// start, for what it is about is known then.
func (o *SlowStart) Answered(now time.Time, informed, complete, careful bool) {
	if o.over || !o.proving() && o.factor(now) == 0 || now.Before(o.shut) {
		return
	}
	if !informed || complete && !careful {
		o.over = true
		return
	}
	if !complete {
		o.calls++
		if o.calls >= 8 {
			o.over = true
		}
	}
	if !o.answered {
		o.base, o.from, o.answered = o.factor(now), now, true
	}
}

// Succeeded notes that a call which was sent then has been answered and not refused.
func (o *SlowStart) Succeeded(sent time.Time) {
	if !o.probed.IsZero() && !sent.Before(o.probed) {
		o.probe = false
	}
}

// Throttled notes that the server has throttled a call: the pace halves and stays so for a
// while.
func (o *SlowStart) Throttled(now time.Time) {
	if o.proving() {
		return // the subwindow or the level is known now
	}
	if f := o.factor(now); f > 0 {
		o.base, o.from = f/2, now.Add(hold-doubling)
	}
}
