package calibration

import (
	"math"
	"time"
)

const (
	// verdicts is how many more calls must say one thing of unused output than the
	// contrary before it is adopted.
	verdicts = 3
	// telling is the part of the limit that must be left unused to count.
	telling = 0.01
	// together is how long the ends of small calls are taken together, and fewReports too
	// few of them to tell.
	together   = 15 * time.Second
	fewReports = 8
	// manyTelling is how many times telling is enough, however uncertain.
	manyTelling = 10
)

// unused is what becomes of declared output that a call does not use: the server refunds
// it when the call ends, or keeps it. Only large amounts count, since what else happens
// meanwhile is small beside them: of one call, or of many that end within a moment, as in
// a batch. The zero value assumes a refund.
type unused struct {
	total float64 // of all calls that have ended
	ends  Sends   // what they have added to it lately
	kept  bool
	since time.Time // when that was found
	votes int       // that it is kept, less those that it is not

	// When a call ended of which no report has told yet, and the newest report before.
	ended  time.Time
	before report

	trend trend   // of small calls
	part  float64 // of what they charge, that was left unused when they last voted
}

// end records that a call has ended with this amount unused.
func (u *unused) end(now time.Time, amount, limit float64, newest report) {
	u.total += amount
	u.ends.only = 5 * time.Second
	u.ends.Add(now, u.total, amount)
	if amount >= telling*limit && u.ended.IsZero() && now.Sub(newest.At) >= Overtaking {
		u.ended, u.before = now, newest
	}
}

// after is what calls have left unused from when a request was sent, for a duration; until now
// where that is not remembered. A call that had ended at the server when it admitted a request
// ends here a moment later.
func (u *unused) after(r *report, span time.Duration) float64 {
	if !u.ends.reaches(r.At) {
		return u.total - r.unused
	}
	return u.ends.Between(r.At, span)
}

// observe takes in a report, and reports whether kept has changed. rate is what refills
// in a second.
func (u *unused) observe(now time.Time, r report, rate float64) (changed bool) {
	if u.ended.IsZero() || r.At.Before(u.ended.Add(Overtaking)) {
		return false
	}
	u.ended = time.Time{}
	part := r.unused - u.before.unused
	back := u.before.ahead() - r.ahead() // by the server, more than by us
	if !u.kept {
		back += part
	}
	if u.before.server-rate*r.At.Sub(u.before.At).Seconds()-part <= 0 {
		return false // it may have been empty
	}
	return u.vote(now, back/part, 1)
}

// observeAll takes in a report, and reports whether kept has changed, by all that anybody's
// calls have left unused in a moment: where the server's bucket drifts away from ours by as
// much as we have refunded, it keeps that.
func (u *unused) observeAll(now time.Time, r report, limit, rate float64) (changed bool) {
	t := &u.trend
	if t.n > 0 && r.At.Before(t.last.At) {
		if r.emptied(&t.last, rate, u) {
			return false
		}
	} else if t.n > 0 && (now.Sub(t.since) > together || t.last.emptied(&r, rate, u)) {
		*t = trend{}
	}
	x := r.refunded
	if u.kept {
		x = r.unused
	}
	if t.n == 0 {
		t.since, t.first = now, r
	}
	t.add(x, r.ahead())
	if r.At.After(t.last.At) {
		t.last = r
	}
	charged, own := t.last.Charged-t.first.Charged, t.last.own-t.first.own
	if t.n < fewReports || own <= 0 || charged < own {
		return false
	}
	unused := t.last.unused - t.first.unused
	ours := unused * charged / own // everybody's, as far as our own tell
	part := t.last.refunded - t.first.refunded
	if u.kept {
		part = ours
	}
	if part < telling*limit || ours < part/2 || ours > 2*part {
		return false
	}
	slope, off := t.slope()
	if u.kept {
		slope, off = slope*unused/part, off*unused/part
	}
	if off > 0.1 && part < manyTelling*telling*limit {
		return false // it takes more to tell
	}
	*t = trend{}
	u.part = part / charged
	back := -slope
	if !u.kept {
		back++
	}
	return u.vote(now, back, int(min(verdicts, part/(telling*limit))))
}

// vote takes in which part of what was left unused came back.
func (u *unused) vote(now time.Time, back float64, weight int) bool {
	switch {
	case -0.25 < back && back < 0.25:
		u.votes += weight
	case 0.75 < back && back < 1.25:
		u.votes -= weight
	}
	u.votes = min(max(u.votes, -verdicts), verdicts)
	if was := u.kept; u.votes == verdicts && !was || u.votes == -verdicts && was {
		u.adopt(!was, now)
		return true
	}
	return false
}

// told reports whether it has been found, or confirmed that it is not.
func (u *unused) told() bool { return u.votes == verdicts || u.votes == -verdicts }

// adopt takes over what was found at a time.
func (u *unused) adopt(kept bool, at time.Time) {
	u.kept, u.since, u.votes = kept, at, -verdicts
	if kept {
		u.votes = verdicts
	}
}

// A trend is how one figure grows with another.
type trend struct {
	n, x, y, xx, xy, yy float64 // means, and sums of what deviates from them

	since       time.Time
	first, last report
}

func (t *trend) add(x, y float64) {
	t.n++
	dx, dy := x-t.x, y-t.y
	t.x += dx / t.n
	t.y += dy / t.n
	t.xx += dx * (x - t.x)
	t.xy += dx * (y - t.y)
	t.yy += dy * (y - t.y)
}

// slope is how much, and its standard error.
func (t *trend) slope() (slope, off float64) {
	if t.xx == 0 || t.n < 3 {
		return 0, math.Inf(1)
	}
	slope = t.xy / t.xx
	return slope, math.Sqrt(max(0, t.yy-slope*t.xy) / (t.n - 2) / t.xx)
}
