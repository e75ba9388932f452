package calibration

// A Figure is a limit as a server's answers tell it. One answer alone changes little,
// for it may be wrong, or about another bucket behind the same name: what is lower is
// believed when it has been told twice in the last few answers, what is higher when
// all of those say so. The zero value has heard nothing.
type Figure struct {
	Amount int64 // believed; 0 for none

	last [8]int64
	n    int
}

// Hear takes in what an answer tells, and reports whether something else is believed
// now. Where nothing is yet, the answer is, unless it is below what is assumed (0 for
// nothing).
func (f *Figure) Hear(amount, assumed int64) (changed bool) {
	f.last[f.n%len(f.last)] = amount
	f.n++
	same, higher := 0, 0
	is := f.Amount
	if is == 0 {
		is = assumed
	}
	for _, x := range f.last[:min(f.n, len(f.last))] {
		if x == amount {
			same++
		}
		if x > is {
			higher++
		}
	}
	switch {
	case f.Amount == 0 && amount >= assumed, amount < is && same >= 2, amount > is && higher == len(f.last):
		changed = f.Amount != amount
		f.Amount = amount
	}
	return changed
}
