package calibration

import "time"

const (
	// patience is how long a surplus must last before it is believed, and
	// evidence how many answers must agree.
	patience = 10 * time.Second
	evidence = 3
)

// A surplus is how much less the server has used than we, as far as that lasts.
type surplus struct {
	since   time.Time
	least   float64 // the difference, negative; the smallest one since then
	answers int
	base    float64 // what had been corrected; another correction starts it anew
}

// hear takes in an answer's difference, and reports whether the surplus has lasted.
func (s *surplus) hear(now time.Time, diff, corrected float64) bool {
	if s.answers == 0 || s.base != corrected {
		*s = surplus{since: now, least: diff, base: corrected}
	}
	s.least = max(s.least, diff)
	s.answers++
	return s.answers >= evidence && now.Sub(s.since) >= patience
}
