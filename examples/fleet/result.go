package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/openai-ratelimiter/ratelimiter/examples/internal/busy"
)

// What must be used of the budget: nearly all of it in all, the kill included, and
// from the takeover on; and as soon as the takeover is over, nearly as much as
// before the kill: what the killed process had reserved for its calls in flight is
// given back by nobody. A quarter would be missing if it still held anything up.
const (
	usedInAll = 0.97
	usedAfter = 0.97
	usedSoon  = 0.95 // of what was used before
)

// soon is how long that is held against what was used before: enough calls that
// single ones don't matter.
const soon = 4 * time.Second

// A result is what became of the fleet.
type result struct {
	fleet         fleet
	throttled     map[string]int
	before, after shares  // until the kill, and since the takeover should be over
	used, soon    float64 // in all, and right after the takeover
}

// shares is whose calls were admitted in a span, and how much of the budget was
// used.
type shares struct {
	processes, total int
	admitted         map[string]int
	used             float64
}

func newResult(f fleet, api *standIn, begin, kill, end time.Time) *result {
	back := kill.Add(takeover)
	r := &result{
		fleet:  f,
		before: newShares(api, processes, span{begin, kill}),
		after:  newShares(api, processes-1, span{back, end}),
		used:   api.used(span{begin, end}),
		soon:   api.used(span{back, back.Add(soon)}),
	}
	_, r.throttled = api.counts(span{to: time.Now()})
	return r
}

func newShares(api *standIn, processes int, in span) shares {
	s := shares{processes: processes, used: api.used(in)}
	s.admitted, _ = api.counts(in)
	for _, n := range s.admitted {
		s.total += n
	}
	return s
}

func (s shares) of(m *member) float64 { return float64(s.admitted[m.key]) / float64(max(1, s.total)) }

// tolerance is how far from an equal share a process's may be, relative to it:
// 5 % of 20,000 calls, and of fewer as much more as chance makes of it.
func (s shares) tolerance() float64 {
	return 0.05 * math.Sqrt(20_000/float64(max(1, s.total)))
}

func (s shares) fair(m *member) bool {
	return math.Abs(s.of(m)*float64(s.processes)-1) <= s.tolerance()
}

func (r *result) print() {
	t := newTable("process", "answered", "lost", "429s", "share before the kill", fmt.Sprintf("from %v after it", takeover))
	for i, m := range r.fleet {
		last, after := m.last.Load(), percent(r.after.of(m))
		if i == killed {
			after = "killed"
		}
		t.AppendRow(table.Row{i + 1, last.Answered, last.lost(), r.throttled[m.key], percent(r.before.of(m)), after})
	}
	t.AppendFooter(table.Row{"", "", "", "calls", r.before.total, r.after.total})
	t.AppendFooter(table.Row{"", "", "", "fair is", "±" + percent(r.before.tolerance()), "±" + percent(r.after.tolerance())})
	t.AppendFooter(table.Row{"", "", "", "budget used", percent(r.before.used), percent(r.after.used)})
	fmt.Println(t.Render())
	fmt.Printf("budget used: %s in all, the kill included; %s from %v to %v after it\n",
		percent(r.used), percent(r.soon), takeover, takeover+soon)
}

// losses says which of the processes that lived to the end have lost calls.
func (r *result) losses() error {
	var faults []error
	for i, m := range r.fleet {
		if i == killed {
			continue
		}
		if last := m.last.Load(); last.lost() > 0 {
			faults = append(faults, fmt.Errorf("process %d: %s (calls lost: %d)", i+1, cmp.Or(last.Err, "calls were still in line"), last.lost()))
		}
		if m.err != nil {
			faults = append(faults, fmt.Errorf("process %d: %w", i+1, m.err))
		}
	}
	return errors.Join(faults...)
}

// verdict says what the fleet did not keep. If the machine kept this process waiting for that
// part of the time, the others did not run when they should either, and it only notes what is wrong with shares and use.
func (r *result) verdict(late float64) (note string, err error) {
	var faults []error
	for i, m := range r.fleet {
		if n := r.throttled[m.key]; n > 0 {
			faults = append(faults, fmt.Errorf("process %d: calls throttled with a 429: %d", i+1, n))
		}
	}
	faults = append(faults, r.losses())
	if short := r.shortfalls(); late <= busy.Threshold {
		faults = append(faults, short)
	} else if short != nil {
		note = fmt.Sprintf("The machine is busy: it kept this process waiting for %.0f %% of the time.\n"+
			"So this says little about the limiter; run the demo again when less else runs:\n%v", 100*late, short)
	}
	return note, errors.Join(faults...)
}

// shortfalls says which shares were not equal, and where too little of the budget was used.
func (r *result) shortfalls() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for i, m := range r.fleet {
		if !r.before.fair(m) {
			fault("process %d: %s of the calls before the kill", i+1, percent(r.before.of(m)))
		}
		if i != killed && !r.after.fair(m) {
			fault("process %d: %s of the calls after the kill", i+1, percent(r.after.of(m)))
		}
	}
	if r.used < usedInAll {
		fault("%s of the budget used in all, not %s", percent(r.used), percent(usedInAll))
	}
	if r.after.used < usedAfter {
		fault("%s of the budget used from %v after the kill on, not %s", percent(r.after.used), takeover, percent(usedAfter))
	}
	if want := usedSoon * r.before.used; r.soon < want {
		fault("%s of the budget used from %v to %v after the kill, not %s", percent(r.soon), takeover, takeover+soon, percent(want))
	}
	return errors.Join(faults...)
}
