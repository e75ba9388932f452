// Package calibration reasons about where the server's buckets stand, from
// what its answers say. Everything in it is a function of its arguments: it
// reads no clock and sends nothing.
package calibration

import "time"

const (
	// overtaking is how far requests may pass each other on their way.
	overtaking = 250 * time.Millisecond
	// patience is how long a surplus must last before it is believed, and
	// evidence how many answers must agree.
	patience = 10 * time.Second
	evidence = 3
)

// A Gauge compares one bucket of ours with the server's. The zero value has
// seen nothing. A Gauge is not safe for concurrent use.
type Gauge struct {
	// Corrections is the sum of all adjustments so far.
	Corrections float64

	sends    Sends
	answered bool
	newest   time.Time // when the newest-sent answered request was sent

	// The smallest surplus of the present window.
	since   time.Time
	surplus float64
	answers int
}

// Sent is where our bucket stood when a request was sent, its own charge
// included.
type Sent struct {
	At          time.Time
	Cost        float64
	Used        float64
	Corrections float64
}

// Send notes a request of this cost; used is where the bucket stands with it.
func (g *Gauge) Send(at time.Time, used, cost float64) Sent {
	g.sends.Add(at, cost)
	return Sent{At: at, Cost: cost, Used: used, Corrections: g.Corrections}
}

// Forget starts over, as after a change of the server's limit. What was sent
// is still known.
func (g *Gauge) Forget() {
	g.answered = false
	g.newest = time.Time{}
	g.answers = 0
}

// Observe compares where the server stood when it admitted a request with
// where we stood when we sent it, and returns what to add to what we believe
// is used. Many answers in flight carry the same difference; it is applied
// once. The first answer counts whole; after it a deficit is taken at once, a
// surplus only when it has lasted.
func (g *Gauge) Observe(now time.Time, sent Sent, server float64) float64 {
	diff := server - (sent.Used + g.Corrections - sent.Corrections)
	first := !g.answered
	g.answered = true
	if sent.At.After(g.newest) {
		g.newest = sent.At
	}
	// The network reorders: neighbours may have been admitted before this one
	// although they were sent after it, or the other way round.
	switch {
	case first:
	case diff > 0:
		diff = max(0, diff-g.sends.beside(sent.At, sent.Cost, 0, overtaking))
	default:
		diff = min(0, diff+g.sends.beside(sent.At, sent.Cost, -overtaking, 0))
	}
	switch {
	case first, diff > 0:
		g.restart(now)
	default:
		if g.answers == 0 || diff > g.surplus {
			g.surplus = diff
		}
		if g.answers++; g.answers < evidence || now.Sub(g.since) < patience {
			return 0
		}
		diff = g.surplus
		g.restart(now)
	}
	g.Corrections += diff
	return diff
}

func (g *Gauge) restart(now time.Time) {
	g.since, g.answers, g.surplus = now, 0, 0
}
