package busy

import (
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Timers that fire when they should are not late.
func TestTimers(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			stop := lateTimers(3 * time.Second)
			time.Sleep(after)
			if late := stop(); late != 0 || math.IsNaN(late) {
				t.Errorf("late for %v of %v", late, after)
			}
		})
	}
	if a, b := lateness(punctual), lateness(2*punctual); a != 0 || b != 2*punctual {
		t.Errorf("lateness %v and %v", a, b)
	}
}

func TestWaited(t *testing.T) {
	for stat, want := range map[string]time.Duration{
		"1237316 3016434 20\n": 3016434,
		"1237316":              0,
		"":                     0,
		"one two three":        0,
	} {
		if got := waitedOf(stat); got != want {
			t.Errorf("waited %v by %q, want %v", got, stat, want)
		}
	}
	if _, err := os.Stat("/proc/self/schedstat"); err == nil && waited() == 0 {
		t.Error("no thread has waited")
	}
	if got := share(3*time.Second, 15*time.Second, 2); got != 0.1 {
		t.Errorf("share %v", got)
	}
	if got := share(-time.Second, 15*time.Second, 2); got != 0 { // a thread has ended
		t.Errorf("share %v", got)
	}
}

// A watch that stops at once divides by nothing.
func TestWatch(t *testing.T) {
	if part := Watch(time.Hour)(); part < 0 || math.IsNaN(part) || math.IsInf(part, 0) {
		t.Errorf("kept waiting for %v of the time", part)
	}
}
