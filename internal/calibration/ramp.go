package calibration

import (
	"math"
	"time"
)

const (
	// Traffic may grow by rampGrowth in rampTime once the server has said that it grows
	// too fast ("above 1M input TPM grow ≤ 50 % per 15 min": OpenAI's error guide, as
	// quoted by developersdigest.tech).
	rampGrowth = 1.5
	rampTime   = 15 * time.Minute
)

// A Ramp lets traffic grow slowly. The zero value holds nothing back.
type Ramp struct {
	From  float64   `json:"from"` // a minute, when it began
	Begun time.Time `json:"begun"`
}

// Begin lowers traffic from rate to where it may have been before it grew too fast, but
// not below what may always grow. Both are per minute.
func (r *Ramp) Begin(now time.Time, rate, always float64) {
	*r = Ramp{max(rate/rampGrowth, always), now}
}

// Adopt takes over another process's ramp if it began later.
func (r *Ramp) Adopt(other Ramp) {
	if other.Begun.After(r.Begun) {
		*r = other
	}
}

// Rate is what may be sent in a minute, or 0 if nothing is held back.
func (r Ramp) Rate(now time.Time, limit float64) float64 {
	if r.From == 0 {
		return 0
	}
	rate := r.From * math.Pow(rampGrowth, max(0, now.Sub(r.Begun)).Minutes()/rampTime.Minutes())
	if rate >= limit {
		return 0
	}
	return rate
}
