package calibration

import (
	"testing"
	"time"
)

// A report of a test is a figure's offset from ours, a second after the one before.
type offset struct {
	by, charged float64       // since the one before
	late        time.Duration // by which its request was sent earlier
	overtaken   float64       // what was charged that may have overtaken it
}

// play reports offsets and returns after how many the figures are distrusted, or 0.
func play(t *trust, start time.Duration, offsets []offset) int {
	charged := 0.0
	for i, o := range offsets {
		at := start + time.Duration(i)*time.Second
		charged += o.charged
		r := report{Sent{At: after(at - o.late), Level: Level{Charged: charged}}, o.by}
		if !t.observe(after(at), r, o.overtaken, limit, float64(i)) {
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
		{"what had overtaken the one before", repeat(50, offset{by: 6000, overtaken: 4000}, offset{}), 0, 99},
		{"more than that", repeat(50, offset{by: 6000, overtaken: 3999}, offset{}), 8, 0},
		{"what has overtaken this one", repeat(50, offset{by: 6000}, offset{overtaken: 4000}), 8, 0},
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

// A bucket of ours that was lost, or forgotten while it was full, begins anew: what
// Corrected falls by then is no swing of the server's, and is not undone.
func TestBucketThatBeginsAnewIsNoSwing(t *testing.T) {
	for _, growing := range []float64{0, 1} { // it may have charged as much with its first call
		g := Tracker{Period: time.Minute}
		now := time.Now()
		for life := range 20 {
			charged := 0.0
			for call, cost := range []float64{1 + growing*float64(life), 1} {
				charged += cost
				// Five minutes refill five limits, of which a full bucket takes nothing.
				sent := g.Send(now, cost, Input{}, Level{Used: cost, Charged: charged, Corrected: 500 * float64(call)})
				used := cost + 0.01*float64(2*life+call) // never the same twice
				g.Observe(now.Add(time.Second), sent, used, 100)
				if d := g.Ignored(now.Add(time.Second)); d > 0 {
					t.Fatalf("the server's figures are ignored for %v", d)
				}
				now = now.Add(5 * time.Minute)
			}
			now = now.Add(20 * time.Minute)
		}
	}
}

// What was suspicious of the bucket before says nothing about the new one. Answers of
// the backend that overtake each other look like that too, but only for a moment.
func TestSuspicionOfABucketThatBeginsAnew(t *testing.T) {
	for _, tt := range []struct {
		later time.Duration
		anew  bool
	}{{time.Second, true}, {100 * time.Millisecond, false}} {
		now := time.Now()
		before := trust{swings: 2, sane: 7, last: Sent{At: now, Level: Level{Charged: 100}}}
		before.observe(now, report{Sent: Sent{At: now.Add(tt.later), Cost: 1, Level: Level{Charged: 90}}}, 0, 100, 20)
		if anew := before.swings == 0 && before.sane == 20; anew != tt.anew {
			t.Errorf("%v later: %v swings, sane at %v", tt.later, before.swings, before.sane)
		}
	}
}

// Calls that are sent at once reach the server in whatever order. Its figures then jump up and
// down by all that they were charged, which is no reason to ignore them.
func TestCrowdIsTrusted(t *testing.T) {
	const crowd, cost = 32, 0.02 * limit
	g := Tracker{Period: time.Minute}
	report := func(at time.Duration, s Sent, server float64) {
		g.Observe(after(at), s, server, limit)
	}
	report(0, g.Send(epoch, cost, Input{}, Level{Used: cost, Charged: cost}), cost)
	var sent []Sent
	for i := range crowd {
		used := float64(i+2) * cost
		sent = append(sent, g.Send(after(time.Second), cost, Input{}, Level{Used: used, Charged: used}))
	}
	for i := range crowd { // the middle one first, and then those beside it in turn
		place := crowd/2 + (i+1)/2*(1-2*(i%2))
		report(2*time.Second, sent[i], float64(place+2)*cost+float64(i)/100)
	}
	if d := g.Ignored(after(2 * time.Second)); d > 0 {
		t.Errorf("its figures are ignored for %v", d)
	}
}
