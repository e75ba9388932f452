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
		{"others are refunded too", 12_000, left, -450, true, true},
		{"maybe empty", 2400, 0, 0, false, false},
	} {
		b := newBench(t)
		if x.was {
			b.g.Adopt(after(0), Findings{Kept: true, Found: after(-time.Second)}, false)
		}
		b.g.shortfall.raise(after(0), 0.2)
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
		f := b.g.Findings()
		if f.Kept != x.learned {
			t.Errorf("%s: %+v", x.name, f)
		}
		if changed := x.learned != x.was; changed != (f.Margin < 0.01) {
			t.Errorf("%s: a margin of %v; what explains it is known: %v", x.name, f.Margin, changed)
		}
	}
}

func TestUnusedIsShared(t *testing.T) {
	var g Tracker
	g.shortfall.raise(after(0), 0.2)
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

// Which ends of calls can tell something.
func TestUnusedThatTells(t *testing.T) {
	for _, x := range []struct {
		name   string
		amount float64
		after  time.Duration // the newest answer's request was sent
		tells  bool
	}{
		{"large", 1000, time.Second, true},
		{"just large enough", 100, overtaking, true},
		{"small", 99, time.Second, false},
		{"too soon", 1000, overtaking - 1, false},
	} {
		var u unused
		u.end(after(x.after), x.amount, limit, report{Sent: Sent{At: epoch}})
		if tells := !u.ended.IsZero(); tells != x.tells {
			t.Errorf("%s: %v", x.name, tells)
		}
		u.end(after(10*time.Second), 1000, limit, report{Sent: Sent{At: after(9 * time.Second)}})
		if first := u.ended.Equal(after(x.after)); first != x.tells {
			t.Errorf("%s: the next end replaces it", x.name)
		}
	}
}

// However often one thing was seen, the other is believed after so many calls.
func TestUnusedForgetsOldVotes(t *testing.T) {
	var u unused
	votes := func(n int, back float64) {
		for range n {
			now := u.since.Add(time.Second)
			before := report{Sent: Sent{At: now, unused: u.total}, server: 9000}
			u.end(now.Add(time.Second), 1000, limit, before)
			u.since = now.Add(2 * time.Second)
			offset := 0.0 // of the server from us, who give back what is not kept
			if !u.kept {
				offset += 1000
			}
			r := report{Sent: Sent{At: u.since, unused: u.total}, server: 9000 + offset - back}
			u.observe(u.since, r, 0)
		}
	}
	u.since = epoch
	if votes(20, 1000); u.kept {
		t.Error("kept, though all was given back")
	}
	if votes(5, 0); u.kept {
		t.Error("kept, after five calls")
	}
	if votes(1, 0); !u.kept {
		t.Error("given back, after six calls")
	}
}
