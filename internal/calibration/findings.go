package calibration

import (
	"math"
	"time"
)

// Findings are what a [Tracker] has learned that helps other trackers of the same bucket.
type Findings struct {
	Margin  float64   `json:"margin"`  // the shortfall that was seen, as a part of the limit
	At      time.Time `json:"at"`      // when it was seen
	Reports int       `json:"reports"` // in all

	// Ratio is how many times our count of the input the server charges, since Charged;
	// 0 where that is not known.
	Ratio   float64   `json:"ratio,omitempty"`
	Charged time.Time `json:"charged,omitzero"`

	Kept  bool      `json:"kept,omitempty"` // the server keeps unused output
	Found time.Time `json:"found,omitzero"` // when Kept last changed
}

// Findings returns what was learned.
func (t *Tracker) Findings() Findings {
	return Findings{t.shortfall.part, t.shortfall.at, t.reports, t.charge.ratio, t.charge.at, t.unused.kept, t.unused.since}
}

// Adopt takes in what another tracker of the same bucket has learned. If that is fresh,
// the backend's bucket has already been compared with the server's.
func (t *Tracker) Adopt(now time.Time, f Findings, fresh bool) {
	if f.At.After(now) {
		f.At = now // another machine's clock
	}
	if f.Found.After(t.unused.since) && !f.Found.After(now) {
		if t.unused.kept != f.Kept {
			t.relearn(now)
		}
		t.unused.adopt(f.Kept, f.Found)
	}
	if f.Ratio > 0 && f.Charged.After(t.charge.at) && !f.Charged.After(now) {
		if math.Abs(f.Ratio-t.charge.Ratio()) > noticeable {
			t.charge.adopt(f.Charged, f.Ratio)
			if t.unused.since.Before(f.Charged) {
				t.unused.doubt()
			}
			t.relearn(now)
		}
		t.charge.at = f.Charged
	}
	if fresh && f.Reports > 0 {
		t.reports = max(t.reports, f.Reports)
		if t.first.IsZero() {
			t.first, t.syncedAt = now, now
		}
	}
	other := shortfall{part: min(f.Margin, mostMargin), at: f.At}
	if !f.At.Before(t.unused.since.Add(spreading)) && other.left(now) > t.shortfall.left(now) {
		t.shortfall = other
	}
}
