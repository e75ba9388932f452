package main

import "testing"

func TestBars(t *testing.T) {
	var b bench
	got := b.bars(atLeast(0.85, 0.846, ""), atLeast(0.85, 0.844, ""), atMost(50, 50.01, " ms"), atMost(50, 51, " ms"))
	if want := "≥ 0.85, **missed:** ≥ 0.85, **missed:** ≤ 50 ms, **missed:** ≤ 50 ms"; got != want || b.barred != 4 || b.missed != 3 {
		t.Errorf("%s; %d of %d missed; want %s", got, b.missed, b.barred, want)
	}
}
