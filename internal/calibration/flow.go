package calibration

import "time"

// A flow is how fast a bucket is being emptied: what anybody has spent of it, refunds
// taken off, beside what refills. The zero value has seen nothing.
type flow struct {
	rate     float64 // what refills in a second, by the latest report
	refilled float64 // in all, since the first look
	lost     float64 // what would have, had the bucket not been full
	seenAt   time.Time
	last     Level // then
	spent    Sends
	largest  recent // charge of a moment ago
}

// recent is the largest figure of the last second or so.
type recent struct {
	amount float64
	at     time.Time
}

// see notes where the bucket stands with a charge of this cost, and returns what was ever
// spent of it, up to a constant.
func (f *flow) see(at time.Time, cost float64, s Level) float64 {
	if at.Before(f.seenAt) {
		at = f.seenAt // answers may come in another order than they were asked for
	}
	if !f.seenAt.IsZero() { // a full bucket takes nothing
		due := f.rate * max(0, at.Sub(f.seenAt).Seconds())
		most := max(0, f.last.Used) + max(0, s.Charged-f.last.Charged)
		f.lost += max(0, due-(most-cost)) // what a full bucket can't take is a correction
		f.refilled += min(due, most+max(0, s.Corrected-f.last.Corrected))
	}
	f.seenAt, f.last = at, s
	spent := s.Used - s.Corrected + f.refilled
	f.spent.only = 2 * time.Second
	f.spent.Add(at, spent, cost)
	return spent
}

// send notes a charge of ours.
func (f *flow) send(at time.Time, cost float64) {
	if cost >= f.largest.amount || at.Sub(f.largest.at) > time.Second {
		f.largest = recent{cost, at}
	}
}

// unreported is what anybody has charged since the last request that a response has reported, as
// far as our own asks show.
func (t *Tracker) unreported() float64 { return max(0, t.flow.last.Charged-t.newest.Charged) }

// fewCalls is how many calls as large as the largest are no rush where charges are exact.
const fewCalls = 8

// rush is how many times more was spent in the second before than refills in it, the
// largest call apart; at least 1. What is not known of the server's bucket grows with it:
// what the network reorders, and what is off in all that no response has reported yet. A
// day's limit counts as if it were a minute's, since nobody spends it evenly.
func (t *Tracker) rush(now time.Time) float64 {
	if t.flow.rate == 0 {
		return 1
	}
	const span = time.Second + slotWidth // that Between looks at
	spent := t.flow.spent.Lately(now, time.Second) - t.flow.largest.amount
	if t.Exact { // what they are charged is known, and what a response has reported is
		spent = min(spent-fewCalls*t.flow.largest.amount, t.unreported())
	}
	minutes := 1.0
	if t.Period > time.Minute {
		minutes = t.Period.Minutes()
	}
	return max(1, spent/(t.flow.rate*minutes*span.Seconds()))
}
