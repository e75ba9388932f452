package calibration

import (
	"testing"
	"time"
)

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
				sent := g.Send(now, cost, Level{Used: cost, Charged: charged, Corrected: 500 * float64(call)})
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
		before.hear(now, answered{Sent: Sent{At: now.Add(tt.later), Cost: 1, Level: Level{Charged: 90}}}, 100, 20)
		if anew := before.swings == 0 && before.sane == 20; anew != tt.anew {
			t.Errorf("%v later: %v swings, sane at %v", tt.later, before.swings, before.sane)
		}
	}
}
