package simulate

import (
	"fmt"
	"time"
)

// A result is what the policies come to in one scenario.
type result struct {
	scenario *scenario
	runs     []*played // the oracle's first
}

// played is a run of a policy beside the oracle's.
type played struct {
	policy *policy
	figures
	comparison
	took time.Duration // to simulate
}

// of is a policy's run, or nil.
func (r *result) of(p *policy) *played {
	for _, x := range r.runs {
		if x.policy == p {
			return x
		}
	}
	return nil
}

// forget drops the calls, which only plots still need.
func (r *result) forget() {
	for _, x := range r.runs {
		x.jobs = nil
	}
}

// missed says what of the bars ours has missed.
func (r *result) missed() []string {
	var out []string
	for _, p := range []*policy{&ours, &oursOnRedis} {
		if x := r.of(p); x != nil {
			for _, m := range r.scenario.missed(x) {
				out = append(out, fmt.Sprintf("%s, %s: %s", r.scenario.name, p.name, m))
			}
		}
	}
	return out
}

// table is the result as a terminal shows it.
func (r *result) table() *table {
	s := r.scenario
	t := &table{header: []string{s.name, "share", "429s/1000", "in warm-up", "given up/1000", "p50", "p99"}}
	large := r.runs[0].large != waits{}
	if large {
		t.header = append(t.header, "large p50")
	}
	if s.change > 0 {
		t.header = append(t.header, "converged")
	}
	if s.bar.lost > 0 {
		t.header = append(t.header, "lost")
	}
	if s.hurried() {
		t.header = append(t.header, "rejected", "wrongly", "late")
	}
	t.header = append(t.header, "calls", "took")
	for _, x := range r.runs {
		row := []string{
			x.policy.name, percent(x.share), fmt.Sprintf("%.2f", x.refusedPerThousand()), fmt.Sprint(x.early),
			fmt.Sprintf("%.1f", x.givenUpPerThousand()), seconds(x.small.p50), seconds(x.small.p99),
		}
		if large {
			row = append(row, seconds(x.large.p50))
		}
		if s.change > 0 {
			row = append(row, convergence(x))
		}
		if s.bar.lost > 0 {
			row = append(row, seconds(x.lost))
		}
		if s.hurried() {
			p := x.promises
			row = append(row, fmt.Sprint(p.refused), fmt.Sprint(p.wrongly), percent(1-p.inTime()))
		}
		t.add(append(row, fmt.Sprint(x.requests), fmt.Sprintf("%.1f s", x.took.Seconds()))...)
	}
	return t
}

func convergence(x *played) string {
	if x.never {
		return "never"
	}
	return fmt.Sprintf("%.0f s", x.converged.Seconds())
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
