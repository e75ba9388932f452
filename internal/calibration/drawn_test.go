package calibration

import (
	"testing"
	"time"
)

func TestDrawn(t *testing.T) {
	const ms = time.Millisecond
	type look struct {
		at      time.Duration
		charged float64
	}
	for _, x := range []struct {
		name  string
		looks []look
		want  float64 // seconds, at 100 a second
	}{
		{"nothing", nil, 0},
		{"what was charged before the first look", []look{{0, 500}, {100 * ms, 500}, {200 * ms, 500}}, 0},
		{"just drawn", []look{{0, 0}, {0, 120}}, 0},
		{"a span later", []look{{0, 0}, {0, 120}, {60 * ms, 120}, {119 * ms, 120}}, 0},
		{"a throttle may still come", []look{{0, 0}, {59 * ms, 120}, {60 * ms, 120}, {119 * ms, 120}}, 0},
		{"proven", []look{{0, 0}, {0, 120}, {60 * ms, 120}, {120 * ms, 120}}, 1.2},
		{"and stays so", []look{{0, 0}, {0, 120}, {60 * ms, 120}, {120 * ms, 120}, {time.Minute, 120}, {2 * time.Minute, 120}}, 1.2},
		{"what is drawn as the rest is proven", []look{{0, 0}, {0, 120}, {60 * ms, 500}, {120 * ms, 900}}, 1.2},
		{"little by little", []look{{0, 0}, {0, 50}, {10 * ms, 101}, {60 * ms, 101}, {120 * ms, 101}}, 1},
		{"as fast as it refills", []look{{0, 0}, {0, 10}, {100 * ms, 20}, {200 * ms, 30}, {300 * ms, 40}, {400 * ms, 50}}, 0.1},
		{"after a rest it is full", []look{{0, 0}, {0, 40}, {2000 * ms, 90}, {2060 * ms, 90}, {2120 * ms, 90}}, 0.5},
		{"a bucket that was lost", []look{{0, 1000}, {0, 1100}, {10 * ms, 0}, {20 * ms, 51}, {60 * ms, 51}, {120 * ms, 51}}, 1.49},
		{"answers out of order", []look{{10 * ms, 0}, {10 * ms, 100}, {0, 120}, {110 * ms, 120}, {170 * ms, 120}}, 1.2},
	} {
		var d Drawn
		for _, l := range x.looks {
			d.See(after(l.at), l.charged, 100)
		}
		if got := d.Seconds(100); got < x.want-1e-9 || got > x.want+1e-9 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
	d := Drawn{proven: 100}
	if d.Seconds(0) != 0 || d.Seconds(-1) != 0 || d.Seconds(50) != 2 {
		t.Error("of a rate")
	}
}
