package calibration

import "time"

const (
	// patience is how long a surplus must last before it is believed, and
	// evidence how many responses must agree.
	patience = 10 * time.Second
	evidence = 3
	// outliers is of how many responses one may report less, for the network reorders
	// requests, and mostOutliers how many may at most.
	outliers, mostOutliers = 20, 8
)

// A surplus is how much less the server has used than we, as far as that lasts.
type surplus struct {
	since     time.Time
	responses int
	base      float64               // what had been corrected; another correction starts it anew
	least     [mostOutliers]float64 // the smallest ones since then, negative, the smallest first
}

// report takes in a response's difference, and reports whether the surplus has lasted, and
// how much it is.
func (s *surplus) report(now time.Time, diff, corrected float64) (amount float64, lasts bool) {
	if s.responses == 0 || s.base != corrected {
		*s = surplus{since: now, base: corrected}
	}
	n := min(s.responses, mostOutliers)
	for i := n; i >= 0; i-- {
		if i > 0 && s.least[i-1] < diff {
			if i < mostOutliers {
				s.least[i] = s.least[i-1]
			}
			continue
		}
		if i < mostOutliers {
			s.least[i] = diff
		}
		break
	}
	s.responses++
	amount = s.least[min(s.responses/outliers, mostOutliers-1, s.responses-1)]
	return amount, s.responses >= evidence && now.Sub(s.since) >= patience
}
