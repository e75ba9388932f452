package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Figures are what a run comes to from one time until another.
type figures struct {
	from      time.Duration
	until     time.Duration
	attempts  int // at the server
	refused   int // of them
	early     int // throttled before
	tokens    int64
	requests  int64 // admitted
	calls     int   // that ended
	givenUp   int   // of them, after three attempts
	small     waits
	large     waits
	perSecond []openaitest.Cost // admitted, from the beginning on
	refusals  []int             // in each second
	waiting   []int             // calls, at each second
	first     time.Duration     // when the first answer came
	limits    openaitest.Limits // of the server, in the end
	jobs      []*job            // submitted until then
}

// waits are how long calls waited until they were sent.
type waits struct{ p50, p99 time.Duration }

// String gives them in seconds.
func (w waits) String() string { return fmt.Sprintf("%.1f / %.1f", w.p50.Seconds(), w.p99.Seconds()) }

// figures are those of the run between two times; what was before the first counts
// where it is said. They may be asked for once it is over.
func (w *world) figures(from, until time.Duration) figures {
	f := figures{
		from:      from,
		until:     until,
		perSecond: make([]openaitest.Cost, int(until/time.Second)+1),
		refusals:  make([]int, int(until/time.Second)+1),
		waiting:   make([]int, int(until/time.Second)+1),
	}
	second := func(at time.Duration) int { return int(min(at, until) / time.Second) }
	for _, a := range w.attempts {
		judged := a.at >= from
		if a.refused && a.at <= until {
			f.refusals[second(a.at)]++
		}
		switch {
		case a.at > until:
		case a.refused && !judged:
			f.early++
		case a.refused:
			f.refused++
			f.attempts++
		default:
			c := &f.perSecond[second(a.at)]
			c.Requests++
			c.Tokens += a.cost.Tokens
			if judged {
				f.attempts++
				f.requests++
				f.tokens += a.cost.Tokens
			}
		}
	}
	var small, large []time.Duration
	for _, j := range w.jobs {
		if j.submitted > until {
			continue
		}
		f.jobs = append(f.jobs, j)
		left := until // when it no longer waits
		switch {
		case j.sent() && j.started <= until:
			left = j.started
			if answer := j.firstByte(); f.first == 0 || answer < f.first {
				f.first = answer
			}
			if j.started < from {
				break
			}
			if j.large {
				large = append(large, j.waited())
			} else {
				small = append(small, j.waited())
			}
		case j.ended > 0:
			left = j.ended
		}
		for i := second(j.submitted) + 1; i <= second(left); i++ {
			f.waiting[i]++
		}
		if j.ended >= from && j.ended <= until && j.outcome != open {
			f.calls++
			if j.outcome == givenUp || j.outcome == failed {
				f.givenUp++
			}
		}
	}
	f.small, f.large = waitsOf(small), waitsOf(large)
	for _, b := range w.server.Account(model).Buckets {
		switch b.Limit {
		case openaitest.RPM:
			f.limits.RPM = b.Capacity
		case openaitest.TPM:
			f.limits.TPM = b.Capacity
		}
	}
	return f
}

func waitsOf(d []time.Duration) waits { return waits{quantile(d, 0.5), quantile(d, 0.99)} }

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// refusedPerThousand and givenUpPerThousand are of attempts and of calls.
func (f *figures) refusedPerThousand() float64 { return perThousand(f.refused, f.attempts) }
func (f *figures) givenUpPerThousand() float64 { return perThousand(f.givenUp, f.calls) }

func perThousand(n, of int) float64 { return 1000 * float64(n) / float64(max(1, of)) }
