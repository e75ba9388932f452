package calibration

import (
	"testing"
	"time"
)

// A report of a test is a figure's offset from ours, a second after the one before.
type offset struct {
	by, charged float64       // since the one before
	late        time.Duration // by which its request was sent earlier
}

// play reports offsets and returns after how many the figures are distrusted, or 0.
func play(t *trust, start time.Duration, offsets []offset) int {
	charged := 0.0
	for i, o := range offsets {
		at := start + time.Duration(i)*time.Second
		charged += o.charged
		r := report{Sent{At: after(at - o.late), Level: Level{Charged: charged}}, o.by}
		if !t.observe(after(at), r, limit, float64(i)) {
			return i + 1
		}
	}
	return 0
}

func TestTrust(t *testing.T) {
	repeat := func(n int, cycle ...offset) (all []offset) {
		for range n {
			all = append(all, cycle...)
		}
		return all
	}
	for _, x := range []struct {
		name    string
		offsets []offset
		after   int // this many is it lost
		sane    float64
	}{
		{"steady", repeat(50, offset{by: 500}), 0, 49},
		{"ups and downs that refill explains", repeat(50, offset{by: 1900}, offset{}), 0, 99},
		{"every second is wrong", repeat(50, offset{by: 6000}, offset{}), 8, 0},
		{"every twentieth is wrong", repeat(20, append(repeat(19, offset{}), offset{by: 6000})...), 0, 59},
		{"what was charged meanwhile was too much", repeat(50, offset{by: 6000}, offset{charged: 5000}), 0, 99},
		{"out of order", repeat(50, offset{by: 6000}, offset{late: 1500 * time.Millisecond}), 0, 98},
	} {
		var tr trust
		if n := play(&tr, 0, x.offsets); n != x.after || tr.sane != x.sane {
			t.Errorf("%s: lost after %d, sane at %v; want %d, %v", x.name, n, tr.sane, x.after, x.sane)
		}
	}
}

func TestTrustIsLostForLonger(t *testing.T) {
	var tr trust
	start := time.Duration(0)
	for _, want := range []time.Duration{10, 20, 40, 80, 120, 120} {
		want *= time.Minute
		n := play(&tr, start, []offset{{by: 6000}, {}, {by: 6000}, {}, {by: 6000}, {}, {by: 6000}, {}})
		now := after(start + time.Duration(n-1)*time.Second)
		if d := tr.lostUntil.Sub(now); d != want || !tr.lost(tr.lostUntil.Add(-1)) || tr.lost(tr.lostUntil) {
			t.Errorf("lost for %v; want %v", d, want)
		}
		start += 24 * time.Hour
	}
	if play(&tr, start, []offset{{by: -6000}}); tr.swings != 0 {
		t.Errorf("%v swings from what was reported before it was lost", tr.swings)
	}
}
