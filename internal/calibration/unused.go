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
	// someReports tell how far the server's bucket is ahead of ours, beside refunds.
	someReports = 3
	// mostly is the part of our refunds that must be unused output for all refunds to be, and
	// unlike how many times as much others may be refunded as we, by what all are charged: of a
	// batch, few calls have nearly all of the unused output.
	mostly, unlike = 0.75, 20
	// manyTelling is how many times telling is enough, however uncertain.
	manyTelling = 10
)

// unused is what becomes of declared output that a call does not use: the server refunds
// it when the call ends, or keeps it. Only large amounts count, since what else happens
// meanwhile is small beside them: of one call, or of many that end within a moment, as in
// a batch. The zero value assumes a refund.
type unused struct {
	total float64 // of all our calls that have ended
	ends  Sends   // what they have added to it lately
	kept  bool
	since time.Time // when that was found
	votes int       // that it is kept, less those that it is not

	returned float64 // to our calls, of what is no unused output

	known  bool    // offset was found
	offset float64 // how far the server's bucket was ahead of all refunds then

	// When a call ended that no report covers yet, and the newest report before.
	ended  time.Time
	before report

	trend trend   // of small calls
	part  float64 // of what they charge, that was left unused when they last voted
}

// end records that a call has ended with this amount unused. The newest report is one before
// its end, at the server, if it is the call's own, or of an earlier request.
func (u *unused) end(now, sent time.Time, amount, limit float64, newest report) {
	u.total += amount
	u.ends.only = 5 * time.Second
	u.ends.Add(now, u.total, amount)
	before := now.Sub(newest.At) >= Overtaking || !newest.At.After(sent)
	if amount >= telling*limit && u.ended.IsZero() && before {
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
	} else if unused < mostly*(unused+t.last.returned-t.first.returned) || ours < part/unlike {
		return false // they were refunded something else
	}
	if part < telling*limit {
		return false
	}
	slope, off := t.slope()
	if u.kept {
		slope, off = slope*unused/part, off*unused/part
	}
	if off > 0.1 && part < manyTelling*telling*limit {
		return false // it takes more to tell
	}
	u.part = part / charged
	back := -slope
	if !u.kept {
		back++
	}
	changed = u.vote(now, back, int(min(verdicts, part/(telling*limit))))
	*t = trend{}
	return changed
}

// owed is how much a report says that the server's bucket is ahead of ours for refunds that the
// server has been found to keep lately: however many requests overtake each other, that is so.
func (u *unused) owed(r *report, corrected float64) float64 {
	if !u.known || r.At.Sub(u.since) > spreading {
		return 0
	}
	return max(0, u.offset+r.refunded-corrected)
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

// decided reports whether it is known that unused output is kept, or that it is not.
func (u *unused) decided() bool { return u.votes == verdicts || u.votes == -verdicts }

// doubt begins anew what rests on how the server charges, which was found to be another way: a
// drift with refunds may have been one with the input.
func (u *unused) doubt() { u.votes, u.trend = 0, trend{} }

// adopt takes over what was found at a time.
func (u *unused) adopt(kept bool, at time.Time) {
	if kept != u.kept {
		u.known, u.offset = kept && u.trend.n >= someReports, u.trend.y-u.trend.x
		u.trend = trend{} // that of other refunds
	}
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
