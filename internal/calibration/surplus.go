package calibration

import "time"

const (
	// patience is how long a surplus must last before it is corrected, and evidence how
	// many reports must show it. For explainedFor after its cause was found it need not
	// last longer than explained.
	patience, explained = 10 * time.Second, 200 * time.Millisecond
	evidence            = 3
	explainedFor        = 4 * time.Second
	// outliers is of how many reports one may show less, for the network reorders
	// requests, and mostOutliers how many may at most.
	outliers, mostOutliers = 20, 8
)

// A surplus is how much less the server has used than we, as far as that lasts.
type surplus struct {
	since   time.Time
	reports int
	base    float64               // what had been corrected; another correction starts it anew
	least   [mostOutliers]float64 // the smallest ones since then, negative, the smallest first
}

// observe takes in the difference that a report shows. It returns how much the surplus is,
// and whether it has lasted for so long.
func (s *surplus) observe(now time.Time, diff, corrected float64, patience time.Duration) (amount float64, lasts bool) {
	if s.reports == 0 || s.base != corrected {
		*s = surplus{since: now, base: corrected}
	}
	n := min(s.reports, mostOutliers)
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
	s.reports++
	amount = s.least[min(s.reports/outliers, mostOutliers-1, s.reports-1)]
	return amount, s.reports >= evidence && now.Sub(s.since) >= patience
}
