package calibration

import "time"

const (
	// quiet is how long a slow start keeps its first pace without a response.
	quiet = 2 * time.Second
	// doubling is how often the pace doubles from then on, or from the first
	// answer.
	doubling = time.Second
	// hold is how long a refusal stops it from doubling.
	hold = 5 * time.Second
	// open is the factor from which on it binds nothing.
	open = 64
	// openingCalls is how many calls are sent where no limit is known.
	openingCalls = 4
)

// ProbeTime is how long others wait for what becomes of the first call after a pause: a
// refusal comes back in less.
const ProbeTime = 250 * time.Millisecond

// PaceBurst is how much of the pace may be sent at once.
const PaceBurst = 250 * time.Millisecond

// A SlowStart is how a scope starts while nobody knows where the server stands:
// our bucket looks full, the server's may not be. Its pace is a multiple of
// what the limits refill. The zero value has not begun.
type SlowStart struct {
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
		o.base, o.from = 1, now.Add(quiet-doubling)
	}
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

// Factor is the multiple of the limits' refill at which calls may start; 0
// where the opening is over.
func (o *SlowStart) Factor(now time.Time) float64 {
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
	f := o.Factor(now)
	if f == 0 {
		return 0
	}
	if o.answered {
		f = 1
	}
	return openingCalls * int(f) << o.calls
}

// Answered notes an answer. Where it told no limits at all the gate opens;
// where it left a window unknown the calls in flight double.
func (o *SlowStart) Answered(now time.Time, informed, complete bool) {
	if o.Factor(now) == 0 || now.Before(o.shut) {
		return
	}
	if !informed {
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
		o.base, o.from, o.answered = o.Factor(now), now, true
	}
}

// Succeeded notes that a call which was sent then has been answered and not refused.
func (o *SlowStart) Succeeded(sent time.Time) {
	if !o.probed.IsZero() && !sent.Before(o.probed) {
		o.probe = false
	}
}

// Throttled notes a refusal: the pace halves and stays so for a while.
func (o *SlowStart) Throttled(now time.Time) {
	if f := o.Factor(now); f > 0 {
		o.base, o.from = f/2, now.Add(hold-doubling)
	}
}
