package calibration

import (
	"testing"
	"time"
)

// Large calls of which a half is not used: what the server's bucket shows beside
// other calls tells what becomes of it, if the bucket was never empty.
func TestUnused(t *testing.T) {
	const large, left = 3000, 1500
	for _, x := range []struct {
		name         string
		first        float64 // what is used after the first call
		back         float64 // what the server gives back
		foreign      float64 // what others charge meanwhile
		learned, was bool
	}{
		{"kept", 12_000, 0, 0, true, false},
		{"given back", 12_000, left, 0, false, false},
		{"given back after all", 12_000, left, 0, false, true},
		{"something else", 12_000, left / 2, 0, false, false},
		{"others use more", 12_000, left, 4000, false, false},
		{"maybe empty", 2400, 0, 0, false, false},
	} {
		b := newBench(t)
		if x.was {
			b.g.Adopt(after(0), Findings{Kept: true, Found: after(-time.Second)}, false)
		}
		server, last := x.first-large, 0*time.Second
		play := func(at time.Duration, cost float64) {
			refilled := limit / 60 * (at - last).Seconds()
			last = at
			server += cost - refilled
			b.used -= refilled
			c, _ := b.g.Observe(after(at+300*time.Millisecond), b.send(at, cost), server, limit)
			b.used += c.To - c.From
			b.corrected += c.To - c.From
		}
		play(0, large)
		rounds := verdicts
		if x.was {
			rounds *= 2 // as much against it as was for it
		}
		for i := range rounds {
			end := time.Duration(5+10*i) * time.Second
			kept := b.g.Unused(after(end), left, limit)
			if kept != x.was {
				t.Errorf("%s: known after %d calls", x.name, i)
			}
			if !kept {
				b.used -= left
			}
			server += x.foreign - x.back
			play(end+50*time.Millisecond, 20) // could have overtaken it
			play(end+time.Second, 20)
			come := x.first - large + limit/60*7.5 - server + float64(i)
			server += come // others have come, or gone, here and there
			b.used += come
			play(end+8500*time.Millisecond, large)
		}
		if f := b.g.Findings(); f.Kept != x.learned || f.Kept && f.Margin > 0.01 {
			t.Errorf("%s: %+v", x.name, f)
		}
	}
}

func TestUnusedIsShared(t *testing.T) {
	var g Tracker
	g.shortBy(after(0), 0.2)
	old := g.Findings()
	found := Findings{Kept: true, Found: after(time.Second)}
	g.Adopt(after(2*time.Second), found, true)
	if f := g.Findings(); !f.Kept || f.Margin != 0 {
		t.Errorf("%+v: the margin was for what is known now", f)
	}
	if g.Adopt(after(3*time.Second), old, true); g.Findings().Margin != 0 {
		t.Error("a margin learned before")
	}
	g.Adopt(after(4*time.Second), Findings{Found: after(3 * time.Second)}, true)
	if g.Adopt(after(5*time.Second), found, true); g.Findings().Kept {
		t.Error("what was found first is believed again")
	}
}
