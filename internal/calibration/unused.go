package calibration

import (
	"math"
	"time"
)

// verdicts is how many more reports must say so than the contrary before another thing is
// believed of unused output.
const verdicts = 3

const (
	// telling is the least part of the limit that must be unused to tell something.
	telling = 0.01
	// together is for how long the ends of small calls are taken together, and
	// fewAnswers too few to tell.
	together   = 10 * time.Second
	fewAnswers = 8
	// manyTelling is how many times telling is enough, however uncertain.
	manyTelling = 10
)

// unused is what becomes of output that was declared and not used: whether the server
// gives it back when the call ends or keeps it. The end of a call tells that is a large part
// of the limit, for beside it what else happens meanwhile is small; so do many small ones
// that end within a moment, as in a batch. The zero value takes it to be given back.
type unused struct {
	total float64 // in all, of calls that have ended
	kept  bool
	since time.Time // when that was found
	votes int       // that it is, less those that it is not

	// The end of a call that no answer has told about yet, and the newest answer
	// before it.
	ended  time.Time
	before answered

	trend trend // by small calls
}

// end takes in that a call has ended with so much unused.
func (u *unused) end(now time.Time, amount, limit float64, newest answered) {
	u.total += amount
	if amount >= telling*limit && u.ended.IsZero() && now.Sub(newest.At) >= overtaking {
		u.ended, u.before = now, newest
	}
}

// hear takes in an answer, and reports whether something else is believed now.
// rate is what refills in a second.
func (u *unused) hear(now time.Time, a answered, rate float64) bool {
	if u.ended.IsZero() || a.At.Before(u.ended.Add(overtaking)) {
		return false
	}
	u.ended = time.Time{}
	part := a.unused - u.before.unused
	back := u.before.ahead() - a.ahead() // by the server, more than by us
	if !u.kept {
		back += part
	}
	if u.before.server-rate*a.At.Sub(u.before.At).Seconds()-part <= 0 {
		return false // it may have been empty
	}
	return u.vote(now, back/part, 1)
}

// observe takes in an answer, and reports whether something else is believed now, by all
// that anybody's calls have left unused in a moment: where the server's bucket drifts away
// from ours by as much as we have refunded, it keeps that.
func (u *unused) observe(now time.Time, a answered, limit float64) bool {
	t := &u.trend
	if t.n > 0 && (now.Sub(t.since) > together || a.server < telling*limit) {
		*t = trend{}
	}
	if a.server < telling*limit {
		return false // it may have been empty
	}
	x := a.refunded
	if u.kept {
		x = a.unused
	}
	if t.n == 0 {
		t.since, t.first = now, a.Sent
	}
	t.add(x, a.ahead())
	if a.At.After(t.last.At) {
		t.last = a.Sent
	}
	charged, own := t.last.Charged-t.first.Charged, t.last.own-t.first.own
	if t.n < fewAnswers || own <= 0 || charged < own {
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

// adopt believes what was found at a time.
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
	first, last Sent
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
