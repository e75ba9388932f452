package calibration

import (
	"testing"
	"time"
)

func TestSlowStartDoubles(t *testing.T) {
	var s SlowStart
	if f := s.Factor(epoch); f != 1 {
		t.Errorf("before it has begun: %v", f)
	}
	s.Begin(epoch)
	for _, tt := range []struct {
		at   time.Duration
		want float64
	}{{0, 1}, {1900 * time.Millisecond, 1}, {2 * time.Second, 2}, {3 * time.Second, 4}, {6 * time.Second, 32}} {
		if f := s.Factor(after(tt.at)); f != tt.want {
			t.Errorf("without an answer at %v: %v; want %v", tt.at, f, tt.want)
		}
	}
	s.Throttled(after(6 * time.Second))
	if f := s.Factor(after(10 * time.Second)); f != 16 {
		t.Errorf("after a refusal: %v; want half, held", f)
	}
	if f := s.Factor(after(20 * time.Second)); f != 0 {
		t.Errorf("in the end: %v; want no pace", f)
	}
}

func TestSlowStartIsAnswered(t *testing.T) {
	var s SlowStart
	s.Begin(epoch)
	if n := s.Calls(epoch); n != openingCalls {
		t.Errorf("%d calls; want %d", n, openingCalls)
	}
	s.Answered(after(100*time.Millisecond), true, false)
	if n := s.Calls(after(100 * time.Millisecond)); n != 2*openingCalls {
		t.Errorf("%d calls after an answer that leaves a window unknown; want twice as many", n)
	}
	if f, next := s.Factor(after(1100*time.Millisecond)), s.Next(after(200*time.Millisecond)); f != 2 || next != 900*time.Millisecond {
		t.Errorf("factor %v, next %v; want doubling each second from the answer", f, next)
	}
	s.Answered(after(time.Second), false, false)
	if f, n := s.Factor(after(time.Second)), s.Calls(after(time.Second)); f != 0 || n != 0 {
		t.Errorf("factor %v, %d calls after an answer without headers; want an open gate", f, n)
	}
}
