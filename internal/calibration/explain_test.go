package calibration

import (
	"testing"
	"time"
)

// learned returns a bench whose tracker has learned a margin, and has begun to see a trend, a
// drift and a surplus.
func learned(t *testing.T) *bench {
	b := begun(t)
	b.g.shortfall.set(after(time.Second), 0.1)
	b.g.unused.trend = trend{n: 3}
	b.g.charge.drift.regression, b.g.charge.since = regression{n: 5, in: 5, of: 1}, after(time.Second)
	b.g.surplus.reports = 2
	return b
}

// When it is found how the server charges the input, that explains the margin and the surplus
// there were, and no trend has seen it. Where charges are exact, nothing is found.
func TestInputChargeExplains(t *testing.T) {
	for _, exact := range []bool{false, true} {
		b := learned(t)
		b.g.Exact = exact
		b.g.charge.samples.add(1.5)
		at := after(10 * time.Second)
		s := b.g.Send(at, 1000, Input{1000, 1000}, Level{Used: 1000, Charged: 1100, Corrected: b.corrected})
		b.g.Observe(at, s, 1500, limit)
		if adopted := b.g.charge.Ratio() == 1.5; adopted == exact {
			t.Fatalf("exact %v: a ratio of %v", exact, b.g.charge.Ratio())
		}
		if exact {
			if b.g.unused.trend.n == 0 || !b.g.explained.IsZero() || b.g.shortfall.left(at) == 0 {
				t.Errorf("exact charges are explained: %+v", b.g)
			}
			continue
		}
		if b.g.unused.trend.n != 0 || b.g.surplus.reports != 0 || b.g.charge.drift.n != 0 {
			t.Errorf("what was seen before stays: %v, %v, %v", b.g.unused.trend.n, b.g.surplus.reports, b.g.charge.drift.n)
		}
		if b.g.explained != at.Add(4*time.Second) || b.g.first != at.Add(spreading) || b.g.shortfall.left(at) != 0 {
			t.Errorf("explained until %v, in doubt until %v, a margin of %v", b.g.explained, b.g.first, b.g.shortfall.left(at))
		}
	}
}

// When it is found what becomes of unused output, that explains the surplus there was, and the
// margin, if so much was left unused; drifts are measured anew.
func TestUnusedExplains(t *testing.T) {
	const each = 150 // is left unused
	for _, x := range []struct {
		name   string
		cost   float64 // of each call
		single bool    // what is seen is one call that leaves much
		margin bool    // stays
	}{
		{"of small calls, much", 10 * each, false, false},
		{"of small calls, little", 20 * each, false, true},
		{"of one call", 100 * each, true, false},
	} {
		b := learned(t)
		b.g.syncedAt = time.Time{}
		b.g.unused.votes = verdicts - 1
		at := after(10 * time.Second)
		if x.single {
			b.g.unused.ended, b.g.unused.before = after(5*time.Second), report{Sent{At: after(4 * time.Second), Level: Level{Used: 5000}}, 5000}
			s := Sent{At: at, Level: Level{Used: 5000, Corrected: b.corrected}, unused: 1000}
			b.g.Observe(at, s, 6000+b.corrected, limit)
		} else {
			b.g.unused.trend = trend{}
			for i := range fewReports {
				n := float64(i)
				b.g.charge.drift.n = 5
				at = at.Add(time.Second)
				s := Sent{
					At: at, Level: Level{Used: 5000 + b.g.corrected, Charged: x.cost * n, Corrected: b.g.corrected},
					own: x.cost * n, unused: each * n, refunded: each * n,
				}
				b.g.Observe(at, s, 5000+each*n, limit)
			}
		}
		if !b.g.unused.kept {
			t.Fatalf("%s: nothing is found: %d votes", x.name, b.g.unused.votes)
		}
		if b.g.surplus.reports != 0 || b.g.charge.drift.n != 1 {
			t.Errorf("%s: what was seen before stays: %v, %v", x.name, b.g.surplus.reports, b.g.charge.drift.n)
		}
		if b.g.explained != at.Add(explainedFor) || b.g.first != at.Add(spreading) || (b.g.shortfall.left(at) != 0) != x.margin {
			t.Errorf("%s: explained until %v, in doubt until %v, a margin of %v", x.name, b.g.explained, b.g.first, b.g.shortfall.left(at))
		}
	}
}
