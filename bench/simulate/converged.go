package simulate

import (
	"math"
	"time"
)

// follows is how long after a change it took to follow the oracle: from then on use
// stays within so much of the oracle's over every span that begins there. never is
// true where that does not happen.
func (f *figures) follows(oracle *figures, change time.Duration) (after time.Duration, never bool) {
	const (
		shortest = 20 // seconds
		within   = 0.03
	)
	m := oracle.scarce()
	from, end := int(change/time.Second), min(len(f.perSecond), len(oracle.perSecond))
	for start := from; start < end; start++ {
		apart, stays := int64(0), true
		for i := start; i < end && stays; i++ {
			apart += m.of(oracle.perSecond[i]) - m.of(f.perSecond[i])
			span := i - start + 1
			stays = span < shortest || math.Abs(float64(apart)) <= within*float64(m.perMinute)/60*float64(span)
		}
		if stays {
			return time.Duration(start-from) * time.Second, end-start < 3*shortest
		}
	}
	return 0, true
}
