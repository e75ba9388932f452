package wire

import (
	"math"
	"net/http"
	"time"
)

// A Window is what a response's headers say about one limit. The server computes
// them when it admits the request. OpenAI's bucket refills continuously, and every
// capture fits
//
//	reset     = period · used / limit, cut to milliseconds
//	remaining = ⌊limit − used⌋
//
// so reset is the time until the bucket is full again, not until the next request may be
// sent. A header's name does not show its period: "requests" may mean RPM or RPD.
type Window struct {
	Limit, Remaining int64
	Reset            time.Duration
	// Stated is the period where the dialect states it, or it has shown otherwise, else 0.
	Stated time.Duration
	// Renewal is Azure's x-ratelimit-renewalperiod, 0 if absent.
	Renewal time.Duration
	// Step is what Remaining is rounded to a multiple of, 0 for exact figures.
	Step int64
	// A figure that is absent, malformed or absurd (OpenAI and Azure have sent -1 and 0)
	// does not count as reported.
	HasLimit, HasRemaining, HasReset bool

	// coarse: reset is Azure's bare number of seconds, and what it counts is not known.
	coarse bool
	// rough: reset is not the time until the bucket is full, or not exact. It tells nothing.
	rough bool
}

// Headers is what a response's headers report. A Window that they do not mention is
// zero.
type Headers struct {
	Requests, DailyRequests, Tokens, DailyTokens, ProjectTokens, Images Window
	// QueryCost is what the server says it has charged for this call, in tokens; 0 where
	// it does not say.
	QueryCost int64
}

// first returns the first value of the header with this canonical name, if it has one.
func first(h http.Header, name string) string {
	if name == "" {
		return ""
	}
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

const (
	minute = time.Minute
	day    = 24 * time.Hour
)

// Period is the window's length: as it is stated, or inferred, a minute or a day, from
// reset = period · used / limit. If the figures fit neither, it is Azure's renewal period,
// or 0.
//
// Since remaining is floored, used lies between limit − remaining − 1 and limit −
// remaining; since the response's own request has been charged, it is at least 1. So
// the period is known to within a factor of two or better, and a minute and a day
// are 1,440 apart. With nothing remaining the bucket may be overdrawn by output debited
// afterwards; its reset then fits neither.
func (w Window) Period() time.Duration {
	used := w.Limit - w.Remaining
	if w.Stated > 0 {
		return w.Stated
	}
	if w.coarse {
		return w.coarsePeriod(used)
	}
	if !w.HasLimit || !w.HasRemaining || !w.HasReset || w.rough || w.Reset == 0 || used <= 0 {
		return w.Renewal
	}
	const slack = 0.02 // remaining and reset may be computed a moment apart
	limit := float64(w.Limit)
	low := w.Reset.Seconds() * limit / float64(used) * (1 - slack)
	high := (w.Reset + time.Millisecond).Seconds() * limit / float64(max(used-1, 1)) * (1 + slack)
	for _, p := range [...]time.Duration{minute, day} {
		if low <= p.Seconds() && p.Seconds() <= high {
			return p
		}
	}
	return w.Renewal
}

// Coarse reports whether the reset is Azure's: whole seconds.
func (w Window) Coarse() bool { return w.coarse }

// coarsePeriod infers the period from Azure's whole seconds: that of its evaluation, of one
// or ten seconds, where it reports that (120 RPM reported as 20), or a minute; 0 where more
// than one of them fits. Its renewal period is a minute in all these cases, and says
// nothing.
func (w Window) coarsePeriod(used int64) (period time.Duration) {
	if !w.HasLimit || !w.HasRemaining || used <= 0 {
		return 0
	}
	part := float64(used) / float64(w.Limit)
	for _, p := range [...]time.Duration{time.Second, 10 * time.Second, minute} {
		if full := part * p.Seconds(); w.Reset.Seconds()-0.1 <= full && full < w.Reset.Seconds()+1.1 {
			if period != 0 {
				return 0
			}
			period = p
		}
	}
	return period
}

// Used returns the most exact figure for what the server has charged: the larger of
// limit − remaining − 1 and reset · limit / period, or 0 if nothing is known. If the two
// contradict each other, remaining counts, to within its rounding. An overdraft, which
// remaining does not show, counts up to one more limit.
func (w Window) Used(period time.Duration) float64 {
	if !w.HasLimit {
		return 0
	}
	var byReset float64
	limit := float64(w.Limit)
	if w.HasReset && !w.coarse && !w.rough && period > 0 {
		byReset = w.Reset.Seconds() * limit / period.Seconds()
	}
	if !w.HasRemaining {
		return min(byReset, 2*limit)
	}
	most := 2 * limit
	if w.Remaining > 0 {
		most = float64(w.Limit - w.Remaining)
	}
	return math.Max(0, min(max(float64(w.Limit-w.Remaining-1), byReset), most))
}

// UsedBetween returns the least and the most that the server may have charged: Used both
// times, unless remaining is rounded.
func (w Window) UsedBetween(period time.Duration) (least, most float64) {
	if w.Step <= 1 || !w.HasLimit || !w.HasRemaining {
		used := w.Used(period)
		return used, used
	}
	used, half := float64(w.Limit-w.Remaining), float64(w.Step)/2
	return max(0, used-half), min(used+half, float64(w.Limit))
}
