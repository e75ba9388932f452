package calibration

import (
	"math"
	"time"
)

const (
	// rampGrowth is how much traffic may grow in rampTime once the server has
	// said that it grows too fast ("above 1M input TPM grow ≤ 50 % per 15 min":
	// OpenAI's error guide, as quoted by developersdigest.tech).
	rampGrowth = 1.5
	rampTime   = 15 * time.Minute
)

// A Ramp lets traffic grow slowly. The zero value holds nothing back.
type Ramp struct {
	rate  float64 // per minute, when it began
	begun time.Time
}

// Begin lowers traffic to where it may have been before it grew too fast; rate is
// what it is, per minute.
func (r *Ramp) Begin(now time.Time, rate float64) {
	if rate > 0 {
		r.rate, r.begun = rate/rampGrowth, now
	}
}

// Rate is what is let through a minute; 0 where that is not held back.
func (r *Ramp) Rate(now time.Time, limit float64) float64 {
	if r.rate == 0 {
		return 0
	}
	rate := r.rate * math.Pow(rampGrowth, now.Sub(r.begun).Minutes()/rampTime.Minutes())
	if rate >= limit {
		r.rate = 0
		return 0
	}
	return rate
}
