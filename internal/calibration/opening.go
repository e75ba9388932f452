package calibration

import "time"

const (
	// quiet is how long the opening keeps its first pace without an answer.
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

// Probing is how long others wait for what becomes of the first call after a pause: a
// refusal comes back in less.
const Probing = 250 * time.Millisecond

// PaceBurst is how much of the pace may be sent at once.
const PaceBurst = 250 * time.Millisecond

// An Opening is how a scope starts while nobody knows where the server stands:
// our bucket looks full, the server's may not be. Its pace is a multiple of
// what the limits refill. The zero value has not begun.
type Opening struct {
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
func (o *Opening) Begin(now time.Time) {
	if o.from.IsZero() && !o.over {
		o.base, o.from = 1, now.Add(quiet-doubling)
	}
}

// Known ends an opening in a process of a fleet that knows where the server
// stands.
func (o *Opening) Known() {
	if o.from.IsZero() {
		o.over = true
	}
}

// Reopen begins anew at a time to come, when a pause is over: those who wait are
// let go as carefully as at first.
func (o *Opening) Reopen(at time.Time) {
	*o = Opening{base: 1, from: at.Add(quiet - doubling), shut: at, probe: true}
}

// Sent notes that a call goes.
func (o *Opening) Sent(now time.Time) {
	const rounding = time.Millisecond // of the backend's clock
	if o.probe && o.probed.IsZero() && !now.Add(rounding).Before(o.shut) {
		o.probed = now
	}
}

// Probing reports whether a call of this process goes first, and for how long the
// others wait for it yet; 0 where it has not gone.
func (o *Opening) Probing(now time.Time) (first bool, wait time.Duration) {
	if !o.probe {
		return false, 0
	}
	if o.probed.IsZero() {
		return true, 0
	}
	wait = Probing - now.Sub(o.probed)
	if o.probe = wait > 0; !o.probe {
		return false, 0
	}
	return true, wait
}

// Scouting reports whether of a whole fleet one call goes first: those of the other
// processes follow when it could have been refused.
func (o *Opening) Scouting(now time.Time) bool {
	return o.probe && now.Before(o.shut.Add(Probing))
}

// Factor is the multiple of the limits' refill at which calls may start; 0
// where the opening is over.
func (o *Opening) Factor(now time.Time) float64 {
	if o.over {
		return 0
	}
	f := max(1, o.base)
	if since := now.Sub(o.from); !o.from.IsZero() && since >= doubling {
		f *= float64(int64(1) << min(62, since/doubling))
	}
	if f >= open {
		o.over = true
		return 0
	}
	return f
}

// Next is when Factor or Calls grow by themselves, or a probe is over.
func (o *Opening) Next(now time.Time) time.Duration {
	if first, wait := o.Probing(now); first && wait > 0 {
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
func (o *Opening) Calls(now time.Time) int {
	f := o.Factor(now)
	if f == 0 {
		return 0
	}
	if o.answered {
		f = 1
	}
	return openingCalls * int(f) << min(o.calls, 8)
}

// Answered notes an answer. Where it told no limits at all the gate opens;
// where it left a window unknown the calls in flight double.
func (o *Opening) Answered(now time.Time, informed, complete bool) {
	if o.over || now.Before(o.shut) {
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
		o.base, o.from, o.answered = max(1, o.Factor(now)), now, true
	}
}

// LetIn notes that a call which was sent then has been answered and not refused.
func (o *Opening) LetIn(sent time.Time) {
	if !o.probed.IsZero() && !sent.Before(o.probed) {
		o.probe = false
	}
}

// Refused notes a refusal: the pace halves and stays so for a while.
func (o *Opening) Refused(now time.Time) {
	if f := o.Factor(now); f > 0 {
		o.base, o.from = max(1, f/2), now.Add(hold-doubling)
	}
}
