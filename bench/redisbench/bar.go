package main

import (
	"fmt"
	"math"
	"strings"
)

// A bar is what a figure should reach, and whether it does.
type bar struct {
	text string
	got  float64
	unit string
	met  bool
	aim  string // the bar that is aimed at, where this one is as far as ours gets
}

// Figures are compared as they are printed, to the hundredth.
func atLeast(want, got float64, unit string) bar {
	return bar{text: fmt.Sprintf("≥ %g%s", want, unit), got: got, unit: unit, met: math.Round(100*got) >= math.Round(100*want)}
}

func atMost(want, got float64, unit string) bar {
	return bar{text: fmt.Sprintf("≤ %g%s", want, unit), got: got, unit: unit, met: math.Round(100*got) <= math.Round(100*want)}
}

// held is a bar that ours holds where it misses this one, which it aims at.
func (b bar) held(most float64) bar {
	aim := b.text
	b = atMost(most, b.got, b.unit)
	b.aim = aim
	return b
}

func (b *bar) String() string {
	if b.aim != "" {
		return b.text + " (aim " + b.aim + ")"
	}
	return b.text
}

// bars is the cell of a table that says what its row should reach, and what of that
// it misses.
func (b *bench) bars(row string, all ...bar) string {
	cells := make([]string, len(all))
	for i, x := range all {
		b.barred++
		cells[i] = x.String()
		if !x.met {
			b.missed = append(b.missed, fmt.Sprintf("%s: %s: %.4g%s; the bar is %s", b.part, row, x.got, x.unit, x.String()))
			cells[i] = "**missed:** " + cells[i]
		}
	}
	return strings.Join(cells, ", ")
}
