package calibration

import "time"

// A LimitEstimate is a limit as a server's answers tell it. Some tell another one: they are
// wrong, or about a second bucket behind the same name. What is lower is believed
// when most of the last few answers tell it or many of the last ones do, and what is
// higher when neither is still so of what was believed. The zero value has heard
// nothing.
type LimitEstimate struct {
	Amount int64 // believed; 0 for none

	last   [32]int64
	n      int
	toldAt time.Time // when Amount was
}

const (
	few, mostOfFew = 8, 5
	someOfMany     = 12 // of all in last
	// silence is how long what is believed must not have been told, and agreed how
	// many answers must agree, for it to be given up where answers are few.
	silence, agreed = time.Minute, 3
)

// Report takes in what an answer tells, and reports whether something else is believed
// now. Where nothing is yet, the answer is, unless it is below what is assumed (0 for
// nothing).
func (f *LimitEstimate) Report(now time.Time, amount, assumed int64) (changed bool) {
	f.last[f.n%len(f.last)] = amount
	f.n++
	is := f.Amount
	if is == 0 {
		is = assumed
	}
	heard := min(f.n, len(f.last))
	told := func(x int64, lately int) (n int) {
		for i := range min(heard, lately) {
			if f.last[(f.n-1-i)%len(f.last)] == x {
				n++
			}
		}
		return n
	}
	unanimous := heard > 1 && told(amount, heard) == heard
	switch {
	case f.Amount == 0 && amount >= assumed:
	case amount < is && (unanimous || told(amount, few) >= mostOfFew || told(amount, len(f.last)) >= someOfMany):
	case amount > is && told(amount, few) == few && told(is, len(f.last)) < someOfMany:
	case amount > is && told(amount, agreed) == agreed && now.Sub(f.toldAt) >= silence:
	case amount == f.Amount:
		f.toldAt = now
		return false
	default:
		return false
	}
	f.Amount, f.toldAt = amount, now
	return true
}
