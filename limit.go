package ratelimiter

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A limit is one that was configured, learned from the server, or both.
type limit struct {
	owner string
	window
	burst      time.Duration
	configured int64
	learned    calibration.LimitEstimate
	header     string    // that told what is learned
	learnedAt  time.Time // when it last did
	toldAt     time.Time // when the request was sent whose answer came last
	sure       bool      // what is learned was told more than once
	denied     int       // answers since then that tell another period
	start      float64   // what was used when it was learned
	gauge      calibration.Tracker
	ramp       calibration.Ramp
	way        time.Duration // the longest that a request took to be written
	whole      *limit        // of which this is a slice
}

func newLimit(owner string, w window) *limit {
	return &limit{owner: owner, window: w, gauge: calibration.Tracker{Exact: w.dimension != backend.Tokens, Period: w.period}}
}

// amount is the limit that holds: the lower of the two.
func (l *limit) amount() int64 {
	if l.whole != nil {
		return l.whole.amount()
	}
	if l.configured > 0 && (l.learned.Amount == 0 || l.configured <= l.learned.Amount) {
		return l.configured
	}
	return l.learned.Amount
}

// told takes in what the server has said the limit is, in answer to a request
// sent then. It reports whether that is what is believed.
func (l *limit) told(amount int64, by string, now, sent time.Time) bool {
	changed := l.learned.Report(now, amount, l.configured)
	if changed {
		l.gauge.Forget()
	}
	l.toldAt = sent
	if amount != l.learned.Amount {
		return false
	}
	l.sure = !changed
	l.header, l.learnedAt = by, now
	return true
}

// believe takes in what another process has learned.
func (l *limit) believe(amount int64, by string, at time.Time) {
	if l.learned.Amount != amount {
		l.gauge.Forget()
	}
	l.learned = calibration.LimitEstimate{Amount: amount}
	l.header, l.learnedAt, l.sure = by, at, true
}

// source says where amount comes from, and how old it is.
func (l *limit) source(now time.Time) (string, time.Duration) {
	if l.configured > 0 && l.amount() == l.configured {
		return "configured", 0
	}
	return l.header, max(time.Millisecond, now.Sub(l.learnedAt))
}

// holdBack is how long a request is on its way, beside what is measured of it, before
// an answer tells more: our bucket begins to refill when we charge it, the server's
// when the first request arrives. mostHoldBack is the longest that writing one is
// believed to take.
const (
	holdBack     = 100 * time.Millisecond
	mostHoldBack = time.Second
)

// held is the time for which what refills is held back. Of a request's way we see
// the part until it has been written; the rest may take as long.
func (l *limit) held() time.Duration {
	if l.gauge.Reported() {
		return 0 // where the server stands is known better
	}
	return holdBack + 2*l.way
}

// reached takes in how long a request took to be written, and reports whether more is
// held back for it from now on.
func (l *limit) reached(after time.Duration) (more bool) {
	was := l.held()
	l.way = max(l.way, min(after, mostHoldBack))
	return l.held() > was
}

func (l *limit) bucket(now time.Time) backend.Bucket {
	margin := max(l.held().Seconds()/l.period.Seconds(), l.gauge.Margin(now))
	if l.whole != nil {
		margin = sliceMargin.Seconds() / l.period.Seconds()
	}
	return backend.Bucket{
		Owner:     l.owner,
		Name:      l.name,
		Dimension: l.dimension,
		Limit:     l.amount(),
		Period:    l.period,
		Burst:     l.burst,
		Margin:    float64(l.amount()) * margin,
		Start:     max(0, l.start-float64(l.amount())*float64(now.Sub(l.learnedAt))/float64(l.period)),
	}
}

// is reports whether the limit has been configured or learned to be the amount.
func (l *limit) is(amount int64) bool { return l.configured == amount || l.learned.Amount == amount }
