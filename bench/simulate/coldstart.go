package simulate

import (
	"slices"
	"time"
)

// lostTo is the budget that was used less than by the oracle, from the beginning
// on, as the time in which it refills.
func (f *figures) lostTo(oracle *figures) time.Duration {
	m := oracle.scarce()
	used := func(f *figures) (sum int64) {
		for _, c := range f.perSecond {
			sum += m.of(c)
		}
		return sum
	}
	return time.Duration(float64(used(oracle)-used(f)) / float64(max(1, m.perMinute)) * float64(time.Minute))
}

// lagBehind is by how much later at most than the oracle a run had sent as many calls,
// from the beginning on.
func (f *figures) lagBehind(oracle *figures) time.Duration {
	starts := func(f *figures) (at []time.Duration) {
		for _, j := range f.jobs {
			if j.sent() {
				at = append(at, j.started)
			}
		}
		slices.Sort(at)
		return at
	}
	a, b := starts(f), starts(oracle)
	longest := time.Duration(0)
	for i := range min(len(a), len(b)) {
		longest = max(longest, a[i]-b[i])
	}
	return longest
}
