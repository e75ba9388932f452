package calibration

import "time"

// A LimitEstimate is a limit as the server's responses report it. Some report another
// one: they are wrong, or about a second bucket behind the same name. A lower amount is
// adopted when 5 of the last 8 reports agree on it, or 12 of the last 32. A higher one
// is adopted when all of the last 8 agree on it, and fewer than 12 of the last 32
// confirm the present one. The zero value has no report.
type LimitEstimate struct {
	Amount int64 // adopted; 0 for none

	last      [32]int64
	n         int
	confirmed time.Time // when a report last agreed with Amount
}

const (
	few, mostOfFew = 8, 5
	someOfMany     = 12 // of all in last
	// Where reports are few, an amount is given up that none has confirmed for silence,
	// when agreed reports in a row contradict it.
	silence, agreed = time.Minute, 3
)

// Report takes in the amount that a response reports, and reports whether Amount has
// changed. The first report is adopted, unless it is below what is assumed (0 for
// nothing).
func (e *LimitEstimate) Report(now time.Time, amount, assumed int64) (changed bool) {
	e.last[e.n%len(e.last)] = amount
	e.n++
	present := e.Amount
	if present == 0 {
		present = assumed
	}
	reports := min(e.n, len(e.last))
	count := func(x int64, latest int) (n int) {
		for i := range min(reports, latest) {
			if e.last[(e.n-1-i)%len(e.last)] == x {
				n++
			}
		}
		return n
	}
	unanimous := reports > 1 && count(amount, reports) == reports
	switch {
	case e.Amount == 0 && amount >= assumed:
	case amount < present && (unanimous || count(amount, few) >= mostOfFew || count(amount, len(e.last)) >= someOfMany):
	case amount > present && count(amount, few) == few && count(present, len(e.last)) < someOfMany:
	case amount > present && count(amount, agreed) == agreed && now.Sub(e.confirmed) >= silence:
	case amount == e.Amount:
		e.confirmed = now
		return false
	default:
		return false
	}
	e.Amount, e.confirmed = amount, now
	return true
}
