package calibration

import "time"

const (
	// verdicts is how many more calls must say one thing of unused output than the
	// contrary before it is adopted.
	verdicts = 3
	// telling is the part of the limit that a call must leave unused to count.
	telling = 0.01
)

// unused is what becomes of declared output that a call does not use: the server refunds
// it when the call ends, or keeps it. Only large amounts count, since what else happens
// meanwhile is small beside them. The zero value assumes a refund.
type unused struct {
	total float64 // of all calls that have ended
	kept  bool
	since time.Time // when that was found
	votes int       // that it is kept, less those that it is not

	// When a call ended of which no report has told yet, and the newest report before.
	ended  time.Time
	before report
}

// end records that a call has ended with this amount unused.
func (u *unused) end(now time.Time, amount, limit float64, newest report) {
	u.total += amount
	if amount >= telling*limit && u.ended.IsZero() && now.Sub(newest.At) >= overtaking {
		u.ended, u.before = now, newest
	}
}

// observe takes in a report, and reports whether kept has changed. rate is what refills
// in a second.
func (u *unused) observe(now time.Time, r report, rate float64) (changed bool) {
	if u.ended.IsZero() || r.At.Before(u.ended.Add(overtaking)) {
		return false
	}
	part := r.unused - u.before.unused
	back := u.before.ahead() - r.ahead() // by the server, more than by us
	if !u.kept {
		back += part
	}
	refilled := rate * r.At.Sub(u.before.At).Seconds()
	u.ended = time.Time{}
	vote := 0
	switch back /= part; {
	case u.before.server-refilled-part <= 0: // it may have been empty
	case -0.25 < back && back < 0.25:
		vote = 1
	case 0.75 < back && back < 1.25:
		vote = -1
	}
	u.votes = min(max(u.votes+vote, -verdicts), verdicts)
	if was := u.kept; u.votes == verdicts && !was || u.votes == -verdicts && was {
		u.adopt(!was, now)
		return true
	}
	return false
}

// adopt takes over what was found at a time.
func (u *unused) adopt(kept bool, at time.Time) {
	u.kept, u.since, u.votes = kept, at, -verdicts
	if kept {
		u.votes = verdicts
	}
}
