package calibration

import "time"

// verdicts is how many more ends of calls must say so than the contrary before
// another thing is believed of unused output.
const verdicts = 3

// telling is the least part of the limit that must be unused to tell something.
const telling = 0.01

// unused is what becomes of output that was declared and not used: whether the
// server gives it back when the call ends or keeps it. Only calls tell to which it
// is a large part of the limit, for beside it what else happens meanwhile is
// small. The zero value takes it to be given back.
type unused struct {
	total float64 // in all, of calls that have ended
	kept  bool
	since time.Time // when that was found
	votes int       // that it is, less those that it is not

	// The end of a call that no answer has told about yet, and the newest answer
	// before it.
	ended  time.Time
	before answered
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
	part := a.unused - u.before.unused
	back := u.before.ahead() - a.ahead() // by the server, more than by us
	if !u.kept {
		back += part
	}
	refilled := rate * a.At.Sub(u.before.At).Seconds()
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

// adopt believes what was found at a time.
func (u *unused) adopt(kept bool, at time.Time) {
	u.kept, u.since, u.votes = kept, at, -verdicts
	if kept {
		u.votes = verdicts
	}
}
