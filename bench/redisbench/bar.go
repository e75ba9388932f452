package main

import (
	"fmt"
	"math"
	"strings"
)

// A bar is what a figure should reach, and whether it does.
type bar struct {
	text string
	met  bool
}

// Figures are compared as they are printed, to the hundredth.
func atLeast(want, got float64, unit string) bar {
	return bar{fmt.Sprintf("≥ %g%s", want, unit), math.Round(100*got) >= math.Round(100*want)}
}

func atMost(want, got float64, unit string) bar {
	return bar{fmt.Sprintf("≤ %g%s", want, unit), math.Round(100*got) <= math.Round(100*want)}
}

// bars is the cell of a table that says what its row should reach, and what of that
// it misses.
func (b *bench) bars(all ...bar) string {
	cells := make([]string, len(all))
	for i, x := range all {
		b.barred++
		cells[i] = x.text
		if !x.met {
			b.missed++
			cells[i] = "**missed:** " + x.text
		}
	}
	return strings.Join(cells, ", ")
}
