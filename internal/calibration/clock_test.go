package calibration

import (
	"testing"
	"time"
	"unsafe"
)

// setBack returns a time by a wall clock that somebody has set back. Its monotonic reading
// goes on. Package time packs the wall clock's seconds above 30 bits of nanoseconds.
func setBack(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) -= uint64(by/time.Second) << 30
	return t
}

// A wall clock that is set back, or forward, makes no difference: what is sent after that is
// told from what was sent before.
func TestWallClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		begun := time.Now()
		at := func(d time.Duration) time.Time {
			now := begun.Add(d)
			if d < time.Second {
				return now
			}
			now = setBack(now, by)
			if got := now.Sub(begun); got != d {
				t.Fatalf("%v after the beginning is told as %v", d, got)
			}
			if d := begun.Round(0).Sub(now.Round(0)); by > 0 && d <= by-10*time.Second {
				t.Fatalf("the wall clock is not set back: %v", d)
			}
			return now
		}
		var s Sends
		for i := range 20 {
			s.Add(at(time.Duration(i)*100*time.Millisecond), float64(10*(i+1)), 10)
		}
		if got := s.Between(at(1500*time.Millisecond), time.Second); got != 50 {
			t.Errorf("set back by %v: %v were sent since; want 50", by, got)
		}
		if got := s.Between(at(0), 950*time.Millisecond); got != 100 {
			t.Errorf("set back by %v: %v were sent before; want 100", by, got)
		}
		if got := s.Between(at(0).Add(-time.Second), 500*time.Millisecond); got != 0 {
			t.Errorf("set back by %v: %v were sent before the first", by, got)
		}
	}
}
