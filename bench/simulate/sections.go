package simulate

import (
	"fmt"
	"strings"
	"time"
)

// The document's tables.

// Use is the share of the oracle's use and the 429s, by scenario and policy.
func (d *document) Use() string {
	t := &table{header: []string{"scenario", "bar", "429s of the oracle"}}
	for _, p := range policies[1:] {
		t.header = append(t.header, p.name)
	}
	for _, r := range d.results {
		cells := []string{r.scenario.name, r.scenario.bar.String(), ofThousand(r.runs[0].refusedPerThousand())}
		for _, p := range policies[1:] {
			cell := "–"
			if x := r.of(p); x != nil {
				cell = percent(x.share) + " · " + ofThousand(x.refusedPerThousand())
				if (p == &ours || p == &oursOnRedis) && len(r.scenario.missed(x)) > 0 {
					cell = "**" + cell + "**"
				}
			}
			cells = append(cells, cell)
		}
		t.add(cells...)
	}
	return t.markdown()
}

// Waits are those of small calls, and the calls given up of a thousand.
func (d *document) Waits() string {
	return d.compare(func(*result) bool { return true }, row{"", func(_ *result, x *played) string {
		if n := x.givenUpPerThousand(); n > 0 {
			return x.small.String() + " · " + ofThousand(n)
		}
		return x.small.String()
	}})
}

// WarmUp are the 429s of ours before the figures begin.
func (d *document) WarmUp() string {
	var with []string
	for _, r := range d.results {
		if x := r.of(&ours); x != nil && x.early > 0 {
			with = append(with, fmt.Sprintf("%s %d", r.scenario.name, x.early))
		}
	}
	return strings.Join(with, "; ")
}

// Large are the waits of large calls and of small.
func (d *document) Large() string {
	return d.compare(func(r *result) bool { return r.runs[0].large != waits{} && !r.scenario.hurried() },
		row{"small", func(_ *result, x *played) string { return x.small.String() }},
		row{"large", func(_ *result, x *played) string { return x.large.String() }})
}

// Changes are the times to follow a change.
func (d *document) Changes() string {
	return d.compare(func(r *result) bool { return r.scenario.change > 0 },
		row{"", func(_ *result, x *played) string { return convergence(x) }})
}

// ColdStarts are what they lose.
func (d *document) ColdStarts() string {
	t := &table{header: []string{"scenario", "budget lost, s", "bar, s", "most calls behind the oracle for, s", "first response after, s"}}
	for _, r := range d.results {
		if x := r.of(&ours); x != nil && r.scenario.bar.lost > 0 {
			t.add(r.scenario.name, bare(x.lost), bare(r.scenario.mayLose(&x.figures)), bare(x.behind), bare(x.first))
		}
	}
	return t.markdown()
}

// Deadlines are what became of calls that have one.
func (d *document) Deadlines() string {
	t := &table{header: []string{"scenario", "policy", "calls", "rejected at once", "wrongly", "not started in time, of those accepted"}}
	for _, r := range d.results {
		if !r.scenario.hurried() {
			continue
		}
		for _, x := range r.runs {
			p := x.promises
			t.add(r.scenario.name, x.policy.name, fmt.Sprint(p.calls), fmt.Sprint(p.refused), fmt.Sprint(p.wrongly), percent(1-p.inTime()))
		}
	}
	return t.markdown()
}

// Real is real time beside the simulation.
func (d *document) Real() string {
	t := &table{header: []string{"scenario", "", "share", "429s", "in the first 15 s", "p50 wait, s", "p99 wait, s", "calls"}}
	for _, r := range d.real {
		for _, x := range r.runs {
			t.add(strings.TrimPrefix(r.scenario.name, "in real time: "), x.policy.name, percent(x.share), ofThousand(x.refusedPerThousand()), fmt.Sprint(x.early),
				bare(x.small.p50), bare(x.small.p99), fmt.Sprint(x.requests))
		}
	}
	return t.markdown()
}

// Missed are the bars that were missed, a line each.
func (d *document) Missed() []string {
	var out []string
	for _, r := range d.results {
		out = append(out, r.missed()...)
	}
	for _, r := range d.batches {
		out = append(out, r.missed()...)
	}
	for _, r := range d.shares {
		out = append(out, r.missed()...)
	}
	return out
}

// A row is a figure that a table of policies shows of a scenario.
type row struct {
	name string
	of   func(*result, *played) string
}

// compare is a table of the scenarios that are meant, by policy.
func (d *document) compare(meant func(*result) bool, rows ...row) string {
	t := &table{header: []string{"scenario"}}
	for _, p := range policies {
		t.header = append(t.header, p.name)
	}
	for _, r := range d.results {
		if !meant(r) {
			continue
		}
		for _, row := range rows {
			cells := []string{strings.TrimSuffix(r.scenario.name+": "+row.name, ": ")}
			for _, p := range policies {
				cell := "–"
				if x := r.of(p); x != nil {
					cell = row.of(r, x)
				}
				cells = append(cells, cell)
			}
			t.add(cells...)
		}
	}
	return t.markdown()
}

// ofThousand is a figure of a thousand, as precise as it matters.
func ofThousand(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return fmt.Sprintf("%.2f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// bare is seconds without a unit.
func bare(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
