package calibration

import (
	"testing"
	"time"
)

// A surplus is what nearly all reports show: one in twenty may show less, up to a number.
func TestSurplusWithOutliers(t *testing.T) {
	for _, x := range []struct {
		reports, outliers int
		want              float64
	}{
		{3, 0, -100}, {3, 1, -10}, {19, 1, -10}, {20, 1, -100}, {20, 2, -10}, {39, 2, -10}, {40, 2, -100},
		{140, 7, -100}, {139, 7, -10}, {10_000, 7, -100}, {10_000, 8, -10}, {10_000, 100, -10},
	} {
		for _, first := range []bool{true, false} {
			var s surplus
			var amount float64
			var lasts bool
			for i := range x.reports {
				diff := -100.0
				if first && i < x.outliers || !first && i >= x.reports-x.outliers {
					diff = -10
				}
				amount, lasts = s.observe(after(time.Duration(i)*10*time.Second), diff, 0, patience)
			}
			if amount != x.want || !lasts {
				t.Errorf("%+v, outliers first: %v: %v, %v", x, first, amount, lasts)
			}
		}
	}
}

// Of several the smallest counts, in whatever order, and of twenty the next.
func TestSurplusIsTheSmallest(t *testing.T) {
	for _, diffs := range [][3]float64{{-30, -20, -10}, {-10, -20, -30}, {-20, -10, -30}, {-20, -30, -10}, {-10, -30, -20}} {
		var s surplus
		for i, diff := range diffs {
			s.observe(after(time.Duration(i)*time.Second), diff, 0, patience)
		}
		for i := 3; i < 20; i++ {
			want := -10.0
			if i == 19 {
				want = -20
			}
			if amount, _ := s.observe(after(time.Duration(i)*time.Second), -50, 0, patience); amount != want {
				t.Errorf("%v: %v after %d reports; want %v", diffs, amount, i+1, want)
			}
		}
	}
}

// It lasts for ten seconds and three reports, from the latest correction on.
func TestSurplusLasts(t *testing.T) {
	const s = time.Second
	type report struct {
		at              time.Duration
		diff, corrected float64
	}
	for _, x := range []struct {
		name    string
		reports []report
		want    float64
		lasts   bool
	}{
		{"one", []report{{0, -5, 0}}, -5, false},
		{"two", []report{{0, -5, 0}, {20 * s, -5, 0}}, -5, false},
		{"three", []report{{0, -5, 0}, {5 * s, -5, 0}, {10 * s, -5, 0}}, -5, true},
		{"too soon", []report{{0, -5, 0}, {5 * s, -5, 0}, {10*s - 1, -5, 0}}, -5, false},
		{"corrected meanwhile", []report{{0, -5, 0}, {5 * s, -5, 0}, {10 * s, -6, 1}}, -6, false},
		{"and for as long again", []report{{0, -5, 0}, {5 * s, -6, 1}, {10 * s, -7, 1}, {15 * s, -7, 1}}, -6, true},
	} {
		var u surplus
		var amount float64
		var lasts bool
		for _, r := range x.reports {
			amount, lasts = u.observe(after(r.at), r.diff, r.corrected, patience)
		}
		if amount != x.want || lasts != x.lasts {
			t.Errorf("%s: %v, %v", x.name, amount, lasts)
		}
	}
}
