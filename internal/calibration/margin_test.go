package calibration

import (
	"math"
	"testing"
	"time"
)

// What was refunded since the newest report's request is held back, until it is known that the
// server gives it back.
func TestUnprovenRefundsAreHeldBack(t *testing.T) {
	const part = 0.08
	for _, x := range []struct {
		name  string
		set   func(*Tracker)
		sent  time.Duration // when a later request of which a report has come was sent; 0 for none
		at    time.Duration
		wants float64
	}{
		{"nothing is known", func(*Tracker) {}, 0, 4 * time.Second, 0.05},
		{"the server is believed to keep it", func(g *Tracker) { g.unused.kept = true }, 0, 4 * time.Second, part},
		{"the server keeps it", func(g *Tracker) { g.unused.adopt(true, epoch) }, 0, 4 * time.Second, part},
		{"the server gives it back", func(g *Tracker) { g.unused.adopt(false, epoch) }, 0, 4 * time.Second, 0},
		{"little is left unused", func(g *Tracker) { g.unused.total -= (part - 0.01) * limit }, 0, 4 * time.Second, 0.01},
		{"others leave as much unused", func(g *Tracker) { g.unused.total -= (part - 0.01) * limit; g.origin -= g.own }, 0, 4 * time.Second, 0.02},
		{"more is left unused than refunded", func(g *Tracker) { g.unused.kept, g.unused.total = true, g.unused.total+limit }, 0, 4 * time.Second, part},
		{"nobody has charged anything", func(g *Tracker) { g.own = 0 }, 0, 4 * time.Second, 0},
		{"nothing is left unused", func(g *Tracker) { g.unused.total = g.newest.unused }, 0, 4 * time.Second, 0},
		{"charges are exact", func(g *Tracker) { g.Exact = true }, 0, 4 * time.Second, 0},
		{"a report has told since", func(*Tracker) {}, 4 * time.Second, 5 * time.Second, 0},
		{"for as long as it was full", func(g *Tracker) {
			g.flow.lost += (part - 0.01) * limit
			g.flow.last.Corrected += (part - 0.01) * limit
		}, 0, 4 * time.Second, 0.01},
		{"others have corrected it", func(g *Tracker) { g.unused.kept, g.flow.last.Corrected = true, g.flow.last.Corrected+(part-0.01)*limit }, 0, 4 * time.Second, 0.01},
		{"they have corrected more", func(g *Tracker) { g.flow.last.Corrected += limit }, 0, 4 * time.Second, 0},
		{"they have undone what was too much", func(g *Tracker) {
			g.unused.kept, g.unused.total, g.flow.last.Corrected = true, g.unused.total+limit, g.flow.last.Corrected-limit
		}, 0, 4 * time.Second, part},
		{"for long no call", func(*Tracker) {}, 0, 3*time.Second + time.Minute, 0},
	} {
		b := newBench(t)
		b.charged = 5 * limit // by others, before
		b.report(time.Second, b.send(0, 0.2*limit), 0.2*limit, 0)
		b.used -= limit / 60 * 2
		b.report(2*time.Second, b.send(2*time.Second, 0), b.used, 0)
		b.used -= limit/60 + part*limit
		b.g.unused.total += part * limit
		s := b.send(3*time.Second, 0)
		if x.sent > 0 {
			b.used -= limit / 60
			s = b.send(x.sent, 0)
			b.report(x.sent, s, s.Used, 0)
		}
		x.set(&b.g)
		got := b.g.Margin(after(x.at)) - b.g.CalmMargin(after(x.at))
		if math.Abs(got-x.wants) > 1e-3 {
			t.Errorf("%s: %v; want %v", x.name, got, x.wants)
		}
	}
}

// While our bucket is full, the server's catches up.
func TestFullBucketProvesRefunds(t *testing.T) {
	b := newBench(t)
	held := func(at time.Duration) float64 { return b.g.Margin(after(at)) - b.g.CalmMargin(after(at)) }
	b.report(time.Second, b.send(0, 0.2*limit), 0.2*limit, 0)
	b.g.unused.kept = true
	b.g.unused.total += 0.08 * limit
	b.used = 0.01 * limit
	b.send(3*time.Second, 0)
	const full = 2.4 // seconds, until 6 s
	b.used, b.corrected = 0, b.corrected+full*limit/60
	s := b.send(6*time.Second, 0.5*limit)
	if got := held(8 * time.Second); math.Abs(got-0.04) > 1e-3 {
		t.Errorf("%v; want 0.04", got)
	}
	b.report(8*time.Second, s, s.Used, 0)
	b.g.unused.total += 0.02 * limit
	b.used -= 0.02*limit + 3*limit/60
	b.send(9*time.Second, 0)
	if got := held(10 * time.Second); math.Abs(got-0.02) > 1e-3 {
		t.Errorf("after a report: %v; want 0.02", got)
	}
}

// A deficit that requests may have caused which overtook others corrects nothing, but is held
// back while report after report shows it.
func TestHiddenDeficitIsHeldBack(t *testing.T) {
	const deficit = 0.01
	begin := func() *bench {
		b := newBench(t)
		b.g.unused.adopt(false, epoch)
		b.report(time.Second, b.send(0, 100), 100, 0)
		return b
	}
	held := func(b *bench, at time.Duration) float64 {
		margin, usual := b.g.Margin(after(at)), b.g.CalmMargin(after(at))*b.g.rush(after(at))
		if want := max(usual, 1.25*b.g.hidden()); margin != want {
			t.Errorf("a margin of %v; want %v", margin, want)
		}
		return b.g.hidden()
	}
	run := func(b *bench, reports int, by float64) time.Duration {
		var sent []Sent
		for i := range reports {
			sent = append(sent, b.send(5*time.Second+time.Duration(i)*time.Millisecond, 1))
		}
		b.send(5100*time.Millisecond, 2*deficit*limit)
		for _, s := range sent {
			b.report(6*time.Second, s, s.Used+by*limit, 0)
		}
		return 6 * time.Second
	}
	b := begin()
	if got := held(b, run(b, 1, deficit)); math.Abs(got-deficit/lagOver) > 1e-9 {
		t.Errorf("after one report: %v", got)
	}
	b = begin()
	at := run(b, 10*lagOver, deficit)
	if got := held(b, at); math.Abs(got-deficit) > deficit/1000 {
		t.Errorf("after many reports: %v; want %v", got, deficit)
	}
	b = begin()
	if got := held(b, run(b, 10*lagOver, -deficit)); got != 0 {
		t.Errorf("of a surplus: %v", got)
	}
	b = newBench(t)
	b.report(time.Second, b.send(0, 100), 10, -90)
	if got := held(b, time.Second); got != 0 {
		t.Errorf("of the first report, which counts whole: %v", got)
	}
	// Of a burst of three tenths of the limit, the network may have turned the order around.
	for _, x := range []struct {
		cost float64
		want bool
	}{{0.3 * limit, true}, {0.3*limit + 1, false}} {
		b = begin()
		s := b.send(5*time.Second, 1)
		b.send(5100*time.Millisecond, x.cost)
		b.report(6*time.Second, s, s.Used+0.04*limit, 0)
		if got := held(b, 6*time.Second); (got > 0) != x.want {
			t.Errorf("with %v behind it: %v", x.cost, got)
		}
	}
	// The next report shows more than what may have been overtaken, and is corrected.
	b = begin()
	run(b, 10*lagOver, deficit)
	s := b.send(10*time.Second, 100)
	b.report(11*time.Second, s, s.Used+deficit*limit, deficit*limit)
	if got := held(b, 11*time.Second); got > deficit/1000 {
		t.Errorf("after the correction: %v", got)
	}
}

// Of an exact bucket of which all that was charged has been reported, no more is held back than it
// has come to hold since: what was reported may be used to the last.
func TestReportedIsUsedToTheLast(t *testing.T) {
	const refills = 0.1/60 - 1e-3/limit // between the report's request and the question, but for rounding
	for _, x := range []struct {
		name  string
		set   func(*bench)
		wants float64
	}{
		{"all is reported", func(*bench) {}, refills},
		{"there is more than was reported", func(b *bench) {
			b.used -= 30 + limit/60.0*0.05
			b.g.See(after(1050*time.Millisecond), Level{Used: b.used, Charged: b.charged})
		}, refills + 0.003},
		{"there is much more", func(b *bench) {
			b.used -= 60
			b.g.See(after(time.Second), Level{Used: b.used, Charged: b.charged})
		}, leastMargin},
		{"something was charged since", func(b *bench) { b.send(time.Second, 1) }, leastMargin},
		{"charges are not exact", func(b *bench) { b.g.Exact = false }, leastMargin},
		{"a shortfall was seen", func(b *bench) { b.g.shortfall.set(after(1100*time.Millisecond), leastMargin/4) }, leastMargin * (1 + seenMargin/4)},
	} {
		b := newBench(t)
		b.g.Exact = true
		b.report(time.Second, b.send(time.Second, 1000), 1000, 0)
		x.set(b)
		if got := b.g.Margin(after(1100 * time.Millisecond)); math.Abs(got-x.wants) > 1e-9 {
			t.Errorf("%s: %v; want %v", x.name, got, x.wants)
		}
	}
}
