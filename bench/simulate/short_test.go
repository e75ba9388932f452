package simulate

import (
	"testing"
	"time"
)

// TestShort plays ours beside the oracle for a few minutes of a few scenarios.
func TestShort(t *testing.T) {
	for _, short := range []struct {
		name                     string
		warmUp, change, duration time.Duration
		excused                  int // 429s: of so few calls one is a thousandth, and a change of the limits costs some
	}{
		{"steady overload", time.Minute, 0, 3 * time.Minute, 2},
		{"nothing configured", time.Minute, 0, 3 * time.Minute, 2},
		{"limit halved", time.Minute, 2 * time.Minute, 4 * time.Minute, 15},
		{"four processes, one killed", time.Minute, 2 * time.Minute, 3 * time.Minute, 2},
		{"a cold start", 0, 0, time.Minute, 2},
	} {
		s := scenarioNamed(t, short.name)
		s.warmUp, s.duration = short.warmUp, short.duration
		s.bar.excused += short.excused
		if short.change > 0 {
			s.change, s.events = short.change, []event{{short.change, s.events[0].do}}
		}
		r := play(t, &s, func(name string) bool { return name == ours.name })
		for _, m := range r.missed() {
			t.Error(m)
		}
	}
}

func scenarioNamed(t *testing.T, name string) scenario {
	for _, s := range scenarios {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("there is no scenario %q", name)
	return scenario{}
}
