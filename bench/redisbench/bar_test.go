package main

import (
	"slices"
	"testing"
)

func TestBars(t *testing.T) {
	b := bench{part: "part"}
	got := b.bars("row", atLeast(0.85, 0.846, ""), atLeast(0.85, 0.844, ""), atMost(50, 50.01, " ms"), atMost(50, 51, " ms"),
		atMost(50, 60, " ms").held(60), atMost(50, 61, " ms").held(60))
	want := "≥ 0.85, **missed:** ≥ 0.85, **missed:** ≤ 50 ms, **missed:** ≤ 50 ms, ≤ 60 ms (aim ≤ 50 ms), **missed:** ≤ 60 ms (aim ≤ 50 ms)"
	if got != want || b.barred != 6 {
		t.Errorf("%s, of %d; want %s", got, b.barred, want)
	}
	missed := []string{
		"part: row: 0.844; the bar is ≥ 0.85", "part: row: 50.01 ms; the bar is ≤ 50 ms", "part: row: 51 ms; the bar is ≤ 50 ms",
		"part: row: 61 ms; the bar is ≤ 60 ms (aim ≤ 50 ms)",
	}
	if !slices.Equal(b.missed, missed) {
		t.Errorf("missed %q; want %q", b.missed, missed)
	}
}
