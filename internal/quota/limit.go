package quota

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A Limit is one that was configured, reported by the server, or both. Several sets
// may share it.
type Limit struct {
	Kind
	Owner string

	burst        time.Duration
	configured   int64
	fleet        claim     // what other processes have configured
	set          time.Time // when configured was changed
	learned      calibration.LimitEstimate
	source       string    // the header of the latest report that agreed with learned
	reportAt     time.Time // when that came
	agreedSentAt time.Time // send time of the request behind it
	spentAt      time.Time // send time of the latest throttled request that asked for more than is left
	reportSentAt time.Time // send time of the request behind the latest report
	confirmed    bool      // more than one report agreed with learned
	contradicted int       // reports since then of another period under the same header
	used         float64   // what was used at usedAt, of a bucket that the backend does not know
	usedAt       time.Time
	tracker      calibration.Tracker
	ramp         calibration.Ramp
	drawn        calibration.Drawn
	transit      time.Duration       // the longest that a request took to be written
	whole        *Limit              // the limit of which this is a subwindow, else nil
	found        time.Time           // when a subwindow was
	windows      calibration.Windows // of a subwindow
	pace         string              // the name of the bucket of its pace
	ceiling      bool                // it is a class's, of which the server knows nothing
}

func newLimit(owner string, k Kind) *Limit {
	return &Limit{
		Owner: owner, Kind: k, pace: "pace/" + owner + "/" + k.Name,
		tracker: calibration.Tracker{Exact: k.Dimension != backend.Tokens, Period: k.Period},
	}
}

// Amount is the limit that holds: the lower of what is assumed and what is learned.
func (l *Limit) Amount() int64 {
	assumed := l.assumed()
	switch {
	case l.whole != nil:
		return l.whole.Amount()
	case assumed > 0 && l.learned.Amount > 0:
		return min(assumed, l.learned.Amount)
	}
	return max(assumed, l.learned.Amount)
}

// is reports whether the limit has been configured or learned to be the amount.
func (l *Limit) is(amount int64) bool { return l.assumed() == amount || l.learned.Amount == amount }

// Configure makes the limit what another is configured to be. If that is another amount,
// what the server has said of the one before is about a limit that has been changed.
func (l *Limit) Configure(now time.Time, to *Limit) {
	if l.configured != to.configured && to.configured > 0 {
		l.learned = calibration.LimitEstimate{}
		l.reportAt, l.agreedSentAt, l.reportSentAt = now, now, now
		l.tracker.Forget()
		l.set, l.fleet = now, claim{}
	}
	l.configured, l.burst = to.configured, to.burst
}

// report takes in what the server says the limit is, in its response to a request sent then. It
// reports whether that is what was learned.
func (l *Limit) report(amount int64, source string, now, sent time.Time) bool {
	report := l.learned.Report
	if source == throttleSource {
		report = l.learned.Throttle
	}
	changed := report(now, amount, l.assumed())
	if changed {
		l.tracker.Forget()
	}
	l.reportSentAt = sent
	if amount != l.learned.Amount {
		return false
	}
	l.confirmed = !changed
	l.source, l.reportAt, l.agreedSentAt = source, now, sent
	return true
}

// adopt takes in what another process has learned.
func (l *Limit) adopt(n *noteLimit) {
	if l.learned.Amount != n.Amount {
		l.tracker.Forget()
	}
	l.learned = calibration.LimitEstimate{Amount: n.Amount}
	l.source, l.reportAt, l.agreedSentAt, l.confirmed = n.Source, n.Reported, n.Sent, true
}

// Source says where Amount comes from: Configured, or what reported it and how long
// ago.
func (l *Limit) Source(now time.Time) (string, time.Duration) {
	switch l.Amount() {
	case l.configured:
		return Configured, 0
	case l.assumed():
		return Elsewhere, max(time.Millisecond, now.Sub(l.fleet.at))
	}
	return l.source, max(time.Millisecond, now.Sub(l.reportAt))
}

// Ramp is what is let through a minute while traffic may only grow slowly, else 0. A part
// of the limit always is: the limit may have been raised since the ramp began.
func (l *Limit) Ramp(now time.Time) float64 {
	if l.ramp.From == 0 {
		return 0
	}
	amount := float64(l.Amount())
	rate := l.ramp.Rate(now, amount)
	if rate == 0 {
		return 0
	}
	return max(rate, slowPart*amount)
}

// Ignored is for how long reports of the bucket's level will still be ignored.
func (l *Limit) Ignored(now time.Time) time.Duration { return l.tracker.Ignored(now) }

// KeepsUnused reports whether the server has been seen to keep declared output that was
// not used.
func (l *Limit) KeepsUnused() bool { return l.tracker.Findings().Kept }

const (
	// Transit is how long a request is taken to travel, beside what is measured of
	// it, before a response reports more: our bucket begins to refill when we charge
	// it, the server's when the first request arrives.
	Transit = 100 * time.Millisecond
	// mostTransit is the longest that writing a request is taken to need.
	mostTransit = time.Second
)

// transitMargin is the time for which what refills is held back. Of a request's way we
// see the part until it has been written; the rest may take as long.
func (l *Limit) transitMargin() time.Duration {
	if l.tracker.Reported() {
		return 0 // the level at the server is known better
	}
	return Transit + 2*l.transit
}

// written takes in how long a request took to be written, and reports whether more is
// held back for it from now on.
func (l *Limit) written(after time.Duration) (more bool) {
	was := l.transitMargin()
	l.transit = max(l.transit, min(after, mostTransit))
	return l.transitMargin() > was
}

// CalmMargin is the part of the limit that responses have shown must stay unused while no
// more is spent than refills.
func (l *Limit) CalmMargin(now time.Time) float64 { return l.tracker.CalmMargin(now) }

// refill is what refills in a second.
func (l *Limit) refill() float64 { return float64(l.Amount()) / l.Period.Seconds() }

// Bucket describes the limit to a backend.
func (l *Limit) Bucket(now time.Time) backend.Bucket {
	b := l.described(now)
	b.Margin = l.margin(now)
	return b
}

// described is Bucket without the margin, which means nothing to a settlement.
func (l *Limit) described(now time.Time) backend.Bucket {
	amount, start := l.Amount(), 0.0
	if l.used > 0 {
		start = max(0, l.used-float64(amount)*now.Sub(l.usedAt).Seconds()/l.Period.Seconds())
	}
	return backend.Bucket{
		Owner:     l.Owner,
		Name:      l.Name,
		Dimension: l.Dimension,
		Limit:     amount,
		Period:    l.Period,
		Burst:     l.burst,
		Start:     start,
		Ceiling:   l.ceiling,
	}
}

// margin is what is held back of the limit's bucket.
func (l *Limit) margin(now time.Time) float64 {
	if l.ceiling {
		return 0
	}
	part := subwindowMargin.Seconds() / l.Period.Seconds()
	if l.whole == nil {
		part = max(l.transitMargin().Seconds()/l.Period.Seconds(), l.tracker.Margin(now))
	}
	return float64(l.Amount()) * part
}

// Eases reports whether the margin of the limit's bucket is larger than it will be once calls come
// no faster than the limit refills.
func (l *Limit) Eases(now time.Time, b *backend.Bucket) bool {
	calm := max(l.transitMargin().Seconds()/l.Period.Seconds(), l.tracker.CalmMargin(now))
	return l.whole == nil && b.Margin > float64(b.Limit)*calm
}

// begin says what is used of a bucket that the backend does not know.
func (l *Limit) begin(now time.Time, used float64) { l.used, l.usedAt = max(0, used), now }

// clear forgets what is known of the bucket's level: the backend has filled it.
func (l *Limit) clear(now time.Time) {
	l.tracker.Forget()
	l.ramp, l.used = calibration.Ramp{Begun: now}, 0
}
