package calibration

import (
	"testing"
	"time"
)

func TestAdopt(t *testing.T) {
	const s = time.Second
	now := after(10 * s)
	for _, x := range []struct {
		name         string
		ours, theirs Findings
		fresh        bool
		want         Findings
	}{
		{"a larger margin", Findings{Margin: 0.1, At: after(9 * s)}, Findings{Margin: 0.2, At: after(8 * s)}, false,
			Findings{Margin: 0.2, At: after(8 * s)}},
		{"a smaller margin", Findings{Margin: 0.2, At: after(8 * s)}, Findings{Margin: 0.1, At: after(9 * s)}, false,
			Findings{Margin: 0.2, At: after(8 * s)}},
		{"a margin that has faded", Findings{Margin: 0.1, At: after(9 * s)}, Findings{Margin: 0.2, At: after(-time.Hour)}, false,
			Findings{Margin: 0.1, At: after(9 * s)}},
		{"a margin above one half", Findings{}, Findings{Margin: 7, At: after(9 * s)}, false, Findings{Margin: 0.5, At: after(9 * s)}},
		{"a margin to come", Findings{}, Findings{Margin: 0.2, At: after(time.Hour)}, false, Findings{Margin: 0.2, At: now}},
		{"fresh responses", Findings{Reports: 2}, Findings{Reports: 7}, true, Findings{Reports: 7}},
		{"fewer responses", Findings{Reports: 7}, Findings{Reports: 2}, true, Findings{Reports: 7}},
		{"old responses", Findings{}, Findings{Reports: 7}, false, Findings{}},
		{"kept", Findings{Margin: 0.2, At: after(s)}, Findings{Kept: true, Found: after(2 * s)}, false,
			Findings{At: now, Kept: true, Found: after(2 * s)}},
		{"kept, as we know", Findings{Kept: true, Found: after(s), Margin: 0.2, At: after(6 * s)}, Findings{Kept: true, Found: after(2 * s)}, false,
			Findings{Kept: true, Found: after(2 * s), Margin: 0.2, At: after(6 * s)}},
		{"the margin of one who did not know", Findings{Kept: true, Found: after(s)}, Findings{Margin: 0.2, At: after(6*s - 1)}, false,
			Findings{Kept: true, Found: after(s)}},
		{"of one who did", Findings{Kept: true, Found: after(s)}, Findings{Margin: 0.2, At: after(6 * s)}, false,
			Findings{Kept: true, Found: after(s), Margin: 0.2, At: after(6 * s)}},
		{"a ratio", Findings{Margin: 0.2, At: after(s)}, Findings{Ratio: 1.3, Charged: after(8 * s)}, false,
			Findings{At: now, Ratio: 1.3, Charged: after(8 * s)}},
		{"a ratio below 1", Findings{Margin: 0.2, At: after(s)}, Findings{Ratio: 0.5, Charged: after(8 * s)}, false,
			Findings{At: now, Ratio: 0.5, Charged: after(8 * s)}},
		{"a ratio that is hardly another", Findings{Margin: 0.2, At: after(6 * s)}, Findings{Ratio: 1.07, Charged: after(8 * s)}, false,
			Findings{Margin: 0.2, At: after(6 * s), Charged: after(8 * s)}},
		{"a ratio beside one of ours", Findings{Ratio: 1.5, Charged: after(s)}, Findings{Ratio: 1.3, Charged: after(8 * s)}, false,
			Findings{Margin: 0, At: now, Ratio: 1.3, Charged: after(8 * s)}},
		{"an older ratio", Findings{Ratio: 1.5, Charged: after(8 * s)}, Findings{Ratio: 1.3, Charged: after(s)}, false,
			Findings{Ratio: 1.5, Charged: after(8 * s)}},
		{"a ratio to come", Findings{}, Findings{Ratio: 1.3, Charged: after(11 * s)}, false, Findings{}},
		{"a ratio of now", Findings{}, Findings{Ratio: 1.3, Charged: now}, false, Findings{At: now, Ratio: 1.3, Charged: now}},
		{"no ratio", Findings{Ratio: 1.5, Charged: after(s)}, Findings{Charged: after(8 * s)}, false,
			Findings{Ratio: 1.5, Charged: after(s)}},
		{"one fresh response", Findings{}, Findings{Reports: 1}, true, Findings{Reports: 1}},
		{"kept, in time to come", Findings{}, Findings{Kept: true, Found: after(11 * s)}, false, Findings{}},
	} {
		g := Tracker{Period: time.Minute}
		g.Adopt(after(9*s), x.ours, true)
		if x.ours.Margin == 0 {
			g.shortfall.at = time.Time{}
		}
		if got := g.Findings(); got != x.ours {
			t.Errorf("%s: began with %+v; want %+v", x.name, got, x.ours)
		}
		if g.Adopt(now, x.theirs, x.fresh); g.Findings() != x.want {
			t.Errorf("%s: %+v; want %+v", x.name, g.Findings(), x.want)
		}
		if m := g.Margin(now); m > 0.5 || (g.Reported() && m < 0.005) || (!g.Reported() && m > x.want.Margin) {
			t.Errorf("%s: a margin of %v", x.name, m)
		}
	}
}

func TestNothingFreshIsNoResponse(t *testing.T) {
	var g Tracker
	g.Period = time.Minute
	if g.Adopt(epoch, Findings{}, true); g.Reported() || g.Margin(epoch) != 0 {
		t.Errorf("a margin of %v", g.Margin(epoch))
	}
}

// What others know does not undo that we know it ourselves.
func TestAdoptKeepsWhatIsKnown(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
	s := b.send(2*time.Second, 100)
	b.g.Adopt(after(2500*time.Millisecond), b.g.Findings(), true)
	b.report(3*time.Second, s, b.used+300, 300)
	if m := b.g.Findings().Margin; m != 0.03 {
		t.Errorf("a margin of %v; want that of the deficit", m)
	}
}

func TestShortfallIsReplacedWhenItHasFaded(t *testing.T) {
	var s shortfall
	s.raise(epoch, 0.2)
	for _, x := range []struct {
		at         time.Duration
		part, want float64
	}{{time.Minute, 0.1, 0.2}, {2 * time.Hour, 0.1, 0.1}} {
		if s.raise(after(x.at), x.part); s.part != x.want {
			t.Errorf("%v at %v: %v; want %v", x.part, x.at, s.part, x.want)
		}
	}
}

func TestMarginIsAtMostHalf(t *testing.T) {
	g := Tracker{Period: time.Minute}
	g.Adopt(epoch, Findings{Reports: 1}, true)
	if g.shortfall.raise(epoch, 0.9); g.Findings().Margin != 0.5 || g.Margin(epoch) != 0.5 {
		t.Errorf("%v of %v", g.Margin(epoch), g.Findings().Margin)
	}
}
