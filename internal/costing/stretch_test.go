package costing

import "testing"

// A body has a window in each stretch, at a place that differs from stretch to stretch.
func TestStretches(t *testing.T) {
	for size, want := range map[int]int{sampledFrom: 0, sampledFrom + 1: 420, 100_000: 2173, 10 << 20: 51_400} {
		var s sample
		s.begin(size)
		if s.stretch != want {
			t.Errorf("%d bytes have stretches of %d; want %d", size, s.stretch, want)
		}
		if want == 0 {
			continue
		}
		sum, seen := 0.0, map[int]bool{}
		const stretches = 1000
		for i := range stretches {
			s.advance()
			at := s.next - s.begins
			if s.begins != (i+1)*want || at < 0 || at >= want {
				t.Fatalf("stretch %d begins at %d, and its window at %d", i, s.begins, s.next)
			}
			sum += float64(at) / float64(want)
			seen[at] = true
		}
		if mean := sum / stretches; mean < 0.45 || mean > 0.55 || len(seen) < 300 {
			t.Errorf("of %d bytes the windows begin at %.2f of their stretches, %d differ", size, mean, len(seen))
		}
	}
	var a, b sample
	a.begin(100_000)
	b.begin(100_010)
	a.advance()
	b.advance()
	if a.next-a.begins == b.next-b.begins {
		t.Error("bodies of other sizes have their windows at the same places")
	}
}

// Texts that were not counted have what all windows together say.
func TestLateTexts(t *testing.T) {
	for _, x := range []struct {
		s    sample
		want int64
	}{
		{sample{}, 0},
		{sample{bytes: 200, tokens: 50, most: 100}, 0},
		{sample{bytes: 200, tokens: 50, most: 100, estimated: 20}, 5},
		{sample{bytes: 200, tokens: 50, most: 100, estimated: 40}, -15},
		{sample{bytes: 200, tokens: 51, most: 102, estimated: 20}, 6}, // 26.01 in all
		{sample{bytes: 200, tokens: 51, most: 98, estimated: 20}, 5},  // 24.99
		{sample{bytes: 200, tokens: 1, most: 40, estimated: 9}, -9},
	} {
		s := x.s
		if got := s.late(); got != x.want || s.estimated != x.s.estimated+x.want {
			t.Errorf("%+v: %d, %d are estimated; want %d", x.s, got, s.estimated, x.want)
		}
	}
}
