package ratelimiter

import (
	"math"
	"testing"
	"time"
)

// The quantiles of waits are right to within the width of their classes.
func TestQuantilesOfWaits(t *testing.T) {
	var w, other waits
	if got := w.quantiles(); got != (ShadowWait{}) {
		t.Errorf("%+v of no waits", got)
	}
	for i := range 1000 {
		into := &w
		if i%3 == 0 {
			into = &other
		}
		into.add(time.Duration(i+1) * time.Millisecond)
	}
	w.merge(&other)
	got := w.quantiles()
	for want, is := range map[time.Duration]time.Duration{500: got.P50, 900: got.P90, 990: got.P99} {
		if off := float64(is)/float64(want*time.Millisecond) - 1; math.Abs(off) > classGrowth-1 {
			t.Errorf("%v; want about %d ms", is, want)
		}
	}
	if got.Max != time.Second || w.n != 1000 {
		t.Errorf("%v at most, of %d", got.Max, w.n)
	}
	w = waits{}
	w.add(time.Microsecond)
	if got := w.quantiles(); got.P50 != time.Microsecond || got.P99 != got.Max {
		t.Errorf("%+v of a single short wait", got)
	}
}
