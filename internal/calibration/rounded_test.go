package calibration

import (
	"testing"
	"time"
)

func TestNearest(t *testing.T) {
	g := Tracker{Period: time.Minute}
	sent := g.Send(epoch, 100, Input{}, Level{Used: 1000, Charged: 100, Corrected: 50})
	g.Observe(epoch, sent, 1200, 10_000) // corrects by 200
	for _, x := range []struct{ least, most, want float64 }{
		{0, 500, 500}, {500, 1500, 1200}, {1200, 1200, 1200}, {1500, 2500, 1500},
	} {
		if got := g.Nearest(sent, x.least, x.most); got != x.want {
			t.Errorf("between %v and %v: %v; want %v", x.least, x.most, got, x.want)
		}
	}
}
