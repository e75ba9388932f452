package main

import (
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/examples/internal/busy"
)

// A busy machine excuses shares and use, and no throttle.
func TestVerdict(t *testing.T) {
	of := func(used float64, throttled int, calls ...int) *result {
		r := &result{throttled: map[string]int{"1": throttled}, used: used, soon: used}
		s := shares{processes: processes, admitted: map[string]int{}, used: used}
		for i, n := range calls {
			key := string(rune('1' + i))
			r.fleet = append(r.fleet, &member{key: key})
			r.fleet[i].last.Store(&report{})
			s.admitted[key] = n
			s.total += n
		}
		r.before, r.after = s, s
		r.after.processes = processes - 1
		r.after.admitted = map[string]int{"1": calls[0], "3": calls[2], "4": calls[3]}
		r.after.total = calls[0] + calls[2] + calls[3]
		return r
	}
	for _, x := range []struct {
		name       string
		result     *result
		late       float64
		note, says string
	}{
		{"kept", of(1, 0, 5000, 5000, 5000, 5000), 0, "", ""},
		{"kept on a busy machine", of(1, 0, 5000, 5000, 5000, 5000), 0.2, "", ""},
		{"unfair", of(1, 0, 5000, 5000, 3000, 7000), busy.Threshold, "", "process 3: 15.0 % of the calls before the kill"},
		{"unfair on a busy machine", of(1, 0, 5000, 5000, 3000, 7000), 0.2, "process 3: 15.0 % of the calls before the kill", ""},
		{"unused", of(0.9, 0, 5000, 5000, 5000, 5000), 0, "", "90.0 % of the budget used in all"},
		{"unused on a busy machine", of(0.9, 0, 5000, 5000, 5000, 5000), 0.2, "90.0 % of the budget used in all", ""},
		{"throttled", of(1, 2, 5000, 5000, 5000, 5000), 0.2, "", "process 1: calls throttled with a 429: 2"},
	} {
		t.Run(x.name, func(t *testing.T) {
			note, err := x.result.verdict(x.late)
			if !strings.Contains(note, x.note) || (note == "") != (x.note == "") {
				t.Errorf("note %q", note)
			}
			if (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}
