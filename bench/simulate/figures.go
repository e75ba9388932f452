package simulate

import (
	"slices"
	"time"
)

// Figures are what a run comes to.
type figures struct {
	seen      int // calls at the server after the warm-up
	tokens    int64
	requests  int64
	refused   int // after the warm-up
	early     int // before it
	total     int
	lost      int
	p50, p99  time.Duration // of waits
	large     time.Duration // p50 of large calls
	perSecond []int64       // tokens admitted in each second
	refusals  []int         // in each second
	byProcess []int         // calls admitted after the warm-up
}

func (w *world) figures() figures {
	s := w.scenario
	f := figures{lost: w.lost}
	seconds := int(s.duration/time.Second) + 1
	f.perSecond, f.refusals = make([]int64, seconds), make([]int, seconds)
	var waits, large []time.Duration
	for _, r := range w.records {
		f.total++
		second := min(int(r.admitted/time.Second), seconds-1)
		warm := r.admitted >= s.warm
		if warm {
			f.seen++
		}
		if r.refused {
			f.refusals[second]++
			if warm {
				f.refused++
			} else {
				f.early++
			}
			continue
		}
		f.perSecond[second] += r.cost.Tokens
		if !warm {
			continue
		}
		for len(f.byProcess) <= r.job.process {
			f.byProcess = append(f.byProcess, 0)
		}
		f.byProcess[r.job.process]++
		f.tokens += r.cost.Tokens
		f.requests++
		if r.job.large {
			large = append(large, r.waited)
		} else {
			waits = append(waits, r.waited)
		}
	}
	f.p50, f.p99 = quantile(waits, 0.5), quantile(waits, 0.99)
	f.large = quantile(large, 0.5)
	return f
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// share is the part of the oracle's use that these figures reach, of what is
// scarcer.
func (f *figures) share(o *figures, s *scenario) float64 {
	minutes := (s.duration - s.warm).Minutes()
	tokens, requests := float64(o.tokens)/float64(s.limits.TPM), float64(o.requests)/float64(s.limits.RPM)
	if s.limits.TPM > 0 && (s.limits.RPM == 0 || tokens/minutes >= requests/minutes) {
		return float64(f.tokens) / max(1, float64(o.tokens))
	}
	return float64(f.requests) / max(1, float64(o.requests))
}

func (f *figures) refusedPerThousand() float64 {
	return 1000 * float64(f.refused) / float64(max(1, f.seen))
}
