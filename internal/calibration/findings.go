package calibration

import "time"

// Findings are what a gauge has learned and others may know too.
type Findings struct {
	Margin  float64   `json:"margin"`  // in parts of the limit
	At      time.Time `json:"at"`      // when it was
	Reports int       `json:"reports"` // answers in all

	Kept  bool      `json:"kept,omitempty"` // unused output is
	Found time.Time `json:"found,omitzero"` // when that changed
}

// Findings returns what was learned.
func (g *Tracker) Findings() Findings {
	return Findings{g.shortfall.part, g.shortfall.at, g.heard, g.unused.kept, g.unused.since}
}

// Adopt takes in what another gauge of the same bucket has learned. Where that is
// fresh, the bucket has been compared with the server's already.
func (g *Tracker) Adopt(now time.Time, f Findings, fresh bool) {
	if f.At.After(now) {
		f.At = now // another machine's clock
	}
	if f.Found.After(g.unused.since) && !f.Found.After(now) {
		if g.unused.kept != f.Kept {
			g.relearn(now)
		}
		g.unused.adopt(f.Kept, f.Found)
	}
	if fresh && f.Reports > 0 {
		g.heard = max(g.heard, f.Reports)
		if g.first.IsZero() {
			g.first, g.known = now, now
		}
	}
	other := seen{part: min(f.Margin, mostMargin), at: f.At}
	if !f.At.Before(g.unused.since) && other.left(now) > g.shortfall.left(now) {
		g.shortfall = other
	}
}
