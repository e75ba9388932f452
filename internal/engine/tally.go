package engine

import "time"

// The last minute, or a little less, is counted in periods.
const (
	usagePeriods = 6
	usageEach    = 10 * time.Second
)

// A tally is what was counted within the last minute, or a little less.
type tally [usagePeriods]struct{ period, n int64 }

// periodOf is the number of the period in which a time is.
func periodOf(t time.Time) int64 { return t.Unix() / int64(usageEach/time.Second) }

func (t *tally) add(now time.Time, n int64) {
	p := periodOf(now)
	x := &t[p%usagePeriods]
	if x.period != p {
		x.period, x.n = p, 0
	}
	x.n += n
}

// correct adds to what was counted in a period. One that is counted no more stays as it is.
func (t *tally) correct(period, by int64) {
	if x := &t[period%usagePeriods]; x.period == period {
		x.n += by
	}
}

// lately reports whether a period is within the last minute that began so many before the present
// one. One that has not begun yet is from before the clock was set back.
func lately(periods int64) bool { return 0 <= periods && periods < usagePeriods }

func (t *tally) sum(now time.Time) (sum int64) {
	for _, x := range t {
		if lately(periodOf(now) - x.period) {
			sum += x.n
		}
	}
	return sum
}
