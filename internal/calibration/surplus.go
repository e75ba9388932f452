package calibration

import "time"

const (
	// patience is how long a surplus must last before it is corrected, and evidence how
	// many reports must show it.
	patience = 10 * time.Second
	evidence = 3
)

// A surplus is how much less the server has used than we, for as long as that lasts.
type surplus struct {
	since   time.Time
	least   float64 // the smallest difference since then, as a negative number
	reports int
	base    float64 // what had been corrected; any correction starts it anew
}

// observe takes in the difference that a report shows, and reports whether the surplus
// has lasted.
func (s *surplus) observe(now time.Time, diff, corrected float64) bool {
	if s.reports == 0 || s.base != corrected {
		*s = surplus{since: now, least: diff, base: corrected}
	}
	s.least = max(s.least, diff)
	s.reports++
	return s.reports >= evidence && now.Sub(s.since) >= patience
}
