package calibration

import (
	"testing"
	"time"
)

// Windows end at the latest of the times at which throttles are over, once enough agree.
func TestWindows(t *testing.T) {
	for _, x := range []struct {
		name string
		over []int // ms
		ends int   // ms, after the last; 0 where it is not known
	}{
		{"one", []int{950}, 0},
		{"five", []int{950, 1950, 2950, 3950, 4950}, 0},
		{"six", []int{950, 1950, 2950, 3950, 4950, 5950}, 5950},
		{"whose requests travel", []int{950, 1930, 2850, 3940, 4900, 5920}, 5950},
		{"of which one is faster", []int{900, 1920, 2930, 3930, 4950, 5920, 6980}, 6980},
		{"over the edge", []int{980, 2020, 2990, 4010, 5000, 5930}, 6020},
		{"as far apart as they may be", []int{950, 1850, 2950, 3850, 4950, 5850}, 5950},
		{"further", []int{950, 1849, 2950, 3849, 4950, 5849}, 0},
		{"later, as far as they may be", []int{950, 1950, 2950, 3950, 4950, 6050}, 6050},
		{"further than that", []int{950, 1950, 2950, 3950, 4950, 5950, 7051}, 0},
		{"twice in each", []int{950, 980, 1950, 1970, 2950, 2960}, 0},
		{"and twice more", []int{950, 980, 1950, 1970, 2950, 2960, 3970, 3990, 4940, 4950, 5940, 5930}, 5990},
		{"but for a slow one", []int{950, 1950, 2950, 3950, 4950, 5950, 6500, 7950}, 7950},
		{"two slow ones of eight", []int{950, 1950, 2500, 3950, 4500, 5950, 6950, 7950}, 0},
		{"at any time", []int{950, 1200, 2500, 3800, 4100, 5500, 6700}, 0},
		{"at other times from then on", []int{100, 1500, 2500, 3500, 4500, 5500, 6500}, 6500},
		{"as often as it was right", append(until(950, 20), until(20_500, 10)...), 0},
		{"and as often again", append(append(until(950, 20), until(20_500, 10)...), until(30_500, 6)...), 35_500},
	} {
		var w Windows
		var ends time.Time
		known := false
		for _, ms := range x.over {
			ends, known = w.Throttled(after(time.Duration(ms)*time.Millisecond), time.Second)
		}
		if known != (x.ends > 0) || known && !ends.Equal(after(time.Duration(x.ends)*time.Millisecond)) {
			t.Errorf("%s: known %v, at %v; want %d ms", x.name, known, ends.Sub(epoch), x.ends)
		}
	}
}

// until is as many times, a second apart.
func until(ms, n int) (all []int) {
	for i := range n {
		all = append(all, ms+1000*i)
	}
	return all
}
