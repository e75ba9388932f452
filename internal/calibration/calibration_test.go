package calibration

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return epoch.Add(d) }

func TestOpeningDoubles(t *testing.T) {
	var o SlowStart
	if f := o.Factor(epoch); f != 1 {
		t.Errorf("before it has begun: %v", f)
	}
	o.Begin(epoch)
	for _, tt := range []struct {
		at   time.Duration
		want float64
	}{{0, 1}, {1900 * time.Millisecond, 1}, {2 * time.Second, 2}, {3 * time.Second, 4}, {6 * time.Second, 32}} {
		if f := o.Factor(after(tt.at)); f != tt.want {
			t.Errorf("without an answer at %v: %v; want %v", tt.at, f, tt.want)
		}
	}
	o.Throttled(after(6 * time.Second))
	if f := o.Factor(after(10 * time.Second)); f != 16 {
		t.Errorf("after a refusal: %v; want half, held", f)
	}
	if f := o.Factor(after(20 * time.Second)); f != 0 {
		t.Errorf("in the end: %v; want no pace", f)
	}
}

func TestOpeningIsAnswered(t *testing.T) {
	var o SlowStart
	o.Begin(epoch)
	if n := o.Calls(epoch); n != openingCalls {
		t.Errorf("%d calls; want %d", n, openingCalls)
	}
	o.Answered(after(100*time.Millisecond), true, false)
	if n := o.Calls(after(100 * time.Millisecond)); n != 2*openingCalls {
		t.Errorf("%d calls after an answer that leaves a window unknown; want twice as many", n)
	}
	if f, next := o.Factor(after(1100*time.Millisecond)), o.Next(after(200*time.Millisecond)); f != 2 || next != 900*time.Millisecond {
		t.Errorf("factor %v, next %v; want doubling each second from the answer", f, next)
	}
	o.Answered(after(time.Second), false, false)
	if f, n := o.Factor(after(time.Second)), o.Calls(after(time.Second)); f != 0 || n != 0 {
		t.Errorf("factor %v, %d calls after an answer without headers; want an open gate", f, n)
	}
}
