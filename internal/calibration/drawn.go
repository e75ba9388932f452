package calibration

import "time"

// Drawn is how much has been drawn from a bucket at once, by anybody: of one that refills
// from empty at the bucket's rate. The zero value has seen nothing.
type Drawn struct {
	level   float64
	at      time.Time
	charged float64

	proven float64 // the most that there was and has passed

	latest, before float64 // the most since, and in the span before that
	since          time.Time
}

// throttleTrip is how long a throttle takes to come. What was drawn in one such span has
// passed when the next is over.
const throttleTrip = 60 * time.Millisecond

// See notes what was ever charged to the bucket, which refills at a rate a second.
func (d *Drawn) See(at time.Time, charged, rate float64) {
	if d.at.IsZero() {
		d.charged, d.since = charged, at
	}
	more := max(0, charged-d.charged) // a bucket that was lost begins anew
	d.level = max(0, d.level-rate*max(0, at.Sub(d.at).Seconds())) + more
	d.at, d.charged = at, charged
	if at.Sub(d.since) >= throttleTrip {
		d.proven = max(d.proven, d.before)
		d.before, d.latest, d.since = d.latest, 0, at
	}
	d.latest = max(d.latest, d.level)
}

// Seconds is the most that was drawn and has passed, in seconds of refill.
func (d *Drawn) Seconds(rate float64) float64 {
	if rate <= 0 {
		return 0
	}
	return d.proven / rate
}
