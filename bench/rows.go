package main

import "fmt"

// A row is a figure that has a bar, or that others are measured beside.
type row struct {
	what   string // with a verb for n
	n      int
	figure string
	ratio  float64 // to the row before that it is measured beside; 0 where there is none
	bar    string
}

func (r row) String() string {
	beside := ""
	if r.ratio > 0 {
		beside = fmt.Sprintf("%.2f", r.ratio)
	}
	return fmt.Sprintf("| "+r.what+" | %s | %s | %s |", r.n, r.figure, beside, r.bar)
}

// atMost is a bar, and says so where it is missed.
func atMost(most, got float64, unit string) string {
	bar := fmt.Sprintf("≤ %g%s", most, unit)
	if got > most {
		return "**missed:** " + bar
	}
	return bar
}

// atLeast is a bar, and says so where it is missed.
func atLeast(least, got float64) string {
	bar := fmt.Sprintf("≥ %.0f", least)
	if got < least {
		return "**missed:** " + bar
	}
	return bar
}

func micros(s float64) string  { return fmt.Sprintf("%.1f µs", 1e6*s) }
func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }
func inBytes(n float64) string { return fmt.Sprintf("%.0f B", n) }
