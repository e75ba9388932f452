package simulate

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A comparison is what figures come to beside the oracle's, over the same time.
type comparison struct {
	share     float64       // of its use
	lost      time.Duration // see lostTo
	behind    time.Duration // see lagBehind
	converged time.Duration // after the scenario's change
	never     bool          // it did not converge
	promises  promises
	bound     waits // of the oracle's small calls
}

func (f *figures) compare(oracle *figures, s *scenario) comparison {
	c := comparison{share: f.shareOf(oracle), lost: f.lostTo(oracle), behind: f.lagBehind(oracle), promises: f.promisesKept(oracle), bound: oracle.small}
	if s.change > 0 {
		c.converged, c.never = f.follows(oracle, s.change)
	}
	return c
}

// A measure is the dimension in which use is compared: the one that is scarce.
type measure struct {
	of func(openaitest.Cost) int64
	// perMinute is the limit, in the end; 0 for none.
	perMinute int64
}

// scarce is what the oracle has used more of, in parts of the limit.
func (f *figures) scarce() measure {
	tokens := measure{func(c openaitest.Cost) int64 { return c.Tokens }, f.limits.TPM}
	requests := measure{func(c openaitest.Cost) int64 { return c.Requests }, f.limits.RPM}
	switch {
	case f.limits.TPM == 0:
		return requests
	case f.limits.RPM == 0 || float64(f.tokens)/float64(f.limits.TPM) >= float64(f.requests)/float64(f.limits.RPM):
		return tokens
	}
	return requests
}

// shareOf is the part of the oracle's use that these figures reach.
func (f *figures) shareOf(oracle *figures) float64 {
	of := oracle.scarce().of
	used := func(f *figures) float64 { return float64(of(openaitest.Cost{Requests: f.requests, Tokens: f.tokens})) }
	return used(f) / max(1, used(oracle))
}
