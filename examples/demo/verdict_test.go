package main

import (
	"strings"
	"testing"
	"time"
)

// A busy machine excuses as much time as it kept the process waiting, and nothing else.
func TestVerdict(t *testing.T) {
	const idle, late = 0.015, 0.05
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, x := range []struct {
		name       string
		result     result
		late       float64
		note, says string
	}{
		{"kept", result{took: seconds(20.39)}, idle, "", ""},
		{"kept on a busy machine", result{took: seconds(20.39)}, late, "", ""},
		{"late", result{took: seconds(20.5)}, idle, "", "more than 2 % behind the ideal 20s; the machine kept this process waiting for 2 % of"},
		{"late on a busy machine", result{took: seconds(20.5)}, late, "The machine is busy: it kept this process waiting for 5 % of the time.\nSo the 2.5 % behind", ""},
		{"later than a busy machine makes it", result{took: seconds(21.5)}, late, "", "more than 2 % behind the ideal"},
		{"throttled", result{took: seconds(20.5), throttled: 1}, late, "", "calls through that were throttled: 1"},
		{"lost", result{took: seconds(20.5), lost: 2}, late, "", "lost calls: 2"},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.result.ideal = seconds(20)
			note, err := verdict(x.result, x.late)
			if !strings.HasPrefix(note, x.note) || (note == "") != (x.note == "") {
				t.Errorf("note %q", note)
			}
			if (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}
