package ratelimiter_test

import (
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A report accounts for every call, and leaves out what there is none of.
func TestShadowReportString(t *testing.T) {
	for want, total := range map[string]ratelimiter.ShadowCounts{
		"1 call: 1 at once\n0 would have waited\n0 would have been rejected\n" +
			"0 throttled by the server, of which the limiter would have prevented 0": {Calls: 1, AtOnce: 1},
		"2,010 calls: 1 at once\n0 would have waited\n4 would have been rejected: 1 deadline, 3 max_wait\n" +
			"2,000 not decided yet, 3 cancelled by their callers, 2 not followed\n" +
			"5 throttled by the server, of which the limiter would have prevented 4": {
			Calls: 2010, AtOnce: 1, Rejected: map[string]int64{"max_wait": 3, "deadline": 1},
			Undecided: 2000, Cancelled: 3, NotFollowed: 2, Throttled: 5, Avoided: 4,
		},
	} {
		if got := (ratelimiter.ShadowReport{Total: total}).String(); got != want {
			t.Errorf("%s\nfor\n%s", got, want)
		}
	}
}
