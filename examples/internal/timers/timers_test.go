package timers

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// Timers that fire when they should are not late.
func TestTimers(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			stop := Watch(3 * time.Second)
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
