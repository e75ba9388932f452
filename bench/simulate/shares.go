package simulate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A sharing is callers of several classes and tenants who want more than there is.
type sharing struct {
	name      string
	limits    openaitest.Limits
	classes   map[string]ratelimiter.Class
	processes int
	killed    time.Duration // when one of them is; 0 for never
	spent     bool          // the budget is used up when the run begins
	groups    []group
	refused   int  // 429s, at most; -1 does not ask
	idle      bool // so may some of what there is be
	warmUp    time.Duration
	length    time.Duration // from then on
}

// A group is callers of one class and tenant.
type group struct {
	name          string
	class, tenant string
	waiting       int           // calls that wait in each process, all the time
	every         time.Duration // or: how often a call comes, in one process after the other
	least, most   int           // words of a prompt
	part          float64       // of what there is: what the group must get
	within        float64       // how far from the part it may be
	p99           time.Duration // the bar of its waits, or 0
	// behind, if not 0, makes the bar as long as one of such groups waits alone with its part of
	// the limits, and what so many tokens need to refill.
	behind int64
}

// A groupResult is what a group came to.
type groupResult struct {
	group    *group
	calls    int
	part     float64 // of what the server admitted, in tokens
	p50, p99 time.Duration
}

// A sharingResult is a sharing's.
type sharingResult struct {
	sharing *sharing
	groups  []groupResult
	use     float64 // of what refilled
	refused int
}

// alone is the ith group by itself, with its part of the limits.
func (s *sharing) alone(i int) *sharing {
	a := *s
	a.limits.RPM = int64(float64(s.limits.RPM) * s.groups[i].part)
	a.limits.TPM = int64(float64(s.limits.TPM) * s.groups[i].part)
	a.groups = slices.Clone(s.groups)
	for j := range a.groups {
		if j != i {
			a.groups[j].waiting, a.groups[j].every = 0, 0
		}
	}
	return &a
}

// compare sets the bar of the groups that may wait as long as one does alone.
func (s *sharing) compare(alone time.Duration) {
	for i := range s.groups {
		if g := &s.groups[i]; g.behind > 0 {
			g.p99 = alone + time.Duration(g.behind)*time.Minute/time.Duration(s.limits.TPM)
		}
	}
}

// job is a group's nth call.
func (s *sharing) job(of, n int) *job {
	g := &s.groups[of]
	j := &job{words: g.least, cap: 20, output: 20, travel: 10 * time.Millisecond}
	if g.most > g.least {
		j.words += rand.New(rand.NewPCG(uint64(n), uint64(of))).IntN(g.most - g.least)
	}
	j.charge = j.prompt()
	j.headers = j.travel + 200*time.Millisecond
	j.total = j.headers
	return j
}

// scenario is the sharing's world.
func (s *sharing) scenario() *scenario {
	out := &scenario{name: s.name, limits: s.limits, processes: s.processes, duration: s.warmUp + s.length, trip: time.Millisecond, spent: s.spent}
	if s.killed > 0 {
		out.events = []event{{s.killed, killOne(s.processes - 1)}}
	}
	return out
}

// run plays the sharing. It must be called in a synctest bubble.
func (s *sharing) run() *sharingResult {
	w := newWorld(s.scenario())
	f := &limiters{world: w, options: []ratelimiter.Option{ratelimiter.WithClasses(s.classes)}}
	if shared := newStore(); s.processes > 1 {
		f.backend = func(l *connection) backend.Backend {
			l.steady = true // waits are asked for that a stall would hide
			return &link{l, shared}
		}
	}
	w.fleet = f
	for i := range s.processes {
		w.launch(i)
	}
	jobs := make([][]*job, len(s.groups))
	for i := range s.groups {
		g := &s.groups[i]
		next := func() *job {
			w.mu.Lock()
			defer w.mu.Unlock()
			j := s.job(i, len(jobs[i]))
			j.index = len(w.jobs)
			w.jobs = append(w.jobs, j)
			jobs[i] = append(jobs[i], j)
			return j
		}
		for id := range s.processes {
			p := *w.process(id)
			p.ctx = g.context(p.ctx)
			for range g.waiting {
				w.calls.Go(func() {
					for p.ctx.Err() == nil {
						w.call(&p, next())
					}
				})
			}
		}
		if g.every > 0 {
			w.calls.Go(func() {
				for n := 0; sleep(w.ctx, g.every); n++ {
					p := *w.process(n % s.processes)
					p.ctx = g.context(p.ctx)
					w.calls.Go(func() { w.call(&p, next()) })
				}
			})
		}
	}
	w.calls.Go(w.happen)
	sleep(w.ctx, w.scenario.duration)
	w.cancel()
	w.calls.Wait()
	w.fleet.stop()
	w.mu.Lock() // the server may still end attempts that were cancelled
	defer w.mu.Unlock()
	return s.result(w, jobs)
}

// context is that of the group's calls.
func (g *group) context(ctx context.Context) context.Context {
	return ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, g.class), g.tenant)
}

// result works out the figures.
func (s *sharing) result(w *world, jobs [][]*job) *sharingResult {
	r := &sharingResult{sharing: s}
	for _, a := range w.attempts {
		if a.refused {
			r.refused++
		}
	}
	var total int64
	tokens := make([]int64, len(s.groups))
	for i := range s.groups {
		x := groupResult{group: &s.groups[i]}
		var waits []time.Duration
		for _, j := range jobs[i] {
			if j.started < s.warmUp || j.started > s.warmUp+s.length {
				continue
			}
			x.calls++
			tokens[i] += j.charge + j.cap
			waits = append(waits, j.waited())
		}
		total += tokens[i]
		x.p50, x.p99 = quantile(waits, 0.5), quantile(waits, 0.99)
		r.groups = append(r.groups, x)
	}
	all := 0.0
	for i := range r.groups {
		r.groups[i].part = float64(tokens[i]) / float64(total)
		all += float64(tokens[i])
	}
	r.use = all / (float64(s.limits.TPM) / 60 * s.length.Seconds())
	return r
}

// missed says what of the bars is missed.
func (r *sharingResult) missed() (out []string) {
	miss := func(format string, args ...any) {
		out = append(out, "shares, "+r.sharing.name+": "+fmt.Sprintf(format, args...))
	}
	if most := r.sharing.refused; most >= 0 && r.refused > most {
		miss("%d 429s; the bar is %d", r.refused, r.sharing.refused)
	}
	if r.use < 0.995 && !r.sharing.idle {
		miss("%.2f %% of what there is; the bar is 99.5 %%", 100*r.use)
	}
	for i := range r.groups {
		x := &r.groups[i]
		if want := x.group.part; want > 0 && math.Abs(x.part-want) > x.group.within {
			miss("%s has %.2f %%; the bar is %.0f ± %v", x.group.name, 100*x.part, 100*want, 100*x.group.within)
		}
		if bar := x.group.p99; bar > 0 && x.p99 > bar {
			miss("%s waits %v at p99; the bar is %v", x.group.name, x.p99, bar)
		}
	}
	return out
}

// sharings are the figures that are published.
func sharings(scale int) []sharing {
	const largest = 10_000
	tenants := []group{{name: "the one that floods", tenant: "flood", waiting: 50 * 4, least: 2000, most: largest, part: 0.1, within: 0.01}}
	for i := range 9 {
		tenants = append(tenants, group{
			name: fmt.Sprint("tenant ", i+1), tenant: fmt.Sprint(i), waiting: 4, least: 100, most: 500,
			part: 0.1, within: 0.1 * 0.02, behind: largest,
		})
	}
	one := byWeight("one process in memory")
	one.processes = 1
	killed := byWeight("one process killed")
	killed.killed = 2 * time.Minute
	return []sharing{
		{
			name: "a batch, and one interactive call a second", limits: openaitest.Limits{RPM: 20_000, TPM: 2_000_000}, processes: 4,
			classes: map[string]ratelimiter.Class{"interactive": {Weight: 100}, "batch": {Weight: 1}},
			groups: []group{
				{name: "batch", class: "batch", waiting: 100_000 / 4 / scale, least: 1000, most: 1000},
				{name: "interactive", class: "interactive", every: time.Second, least: 500, most: 500, p99: 250*time.Millisecond + 520*time.Minute/2_000_000},
			},
			warmUp: 30 * time.Second, length: 5 * time.Minute,
		},
		{
			name: "ten tenants, one of which floods", limits: openaitest.Limits{RPM: 20_000, TPM: 2_000_000}, processes: 4,
			groups: tenants, refused: 20, warmUp: 30 * time.Second, length: 3 * time.Minute,
		},
		one, byWeight("four processes"), killed,
	}
}

// byWeight is a sharing of two classes with weights of 3 and 1.
func byWeight(how string) sharing {
	return sharing{
		name: "weights of 3 and 1, " + how, limits: openaitest.Limits{RPM: 20_000, TPM: 2_000_000}, processes: 4,
		classes: map[string]ratelimiter.Class{"a": {Weight: 3}, "b": {Weight: 1}}, refused: 20,
		groups: []group{
			{name: "a", class: "a", waiting: 100, least: 500, most: 8000, part: 0.75, within: 0.01},
			{name: "b", class: "b", waiting: 100, least: 500, most: 8000, part: 0.25, within: 0.01},
		},
		warmUp: 30 * time.Second, length: 5 * time.Minute,
	}
}

// realSharings are played with real processes and a real Redis.
func realSharings() []sharing {
	killed := byWeight("on Redis in real time, one process killed")
	killed.killed = 2 * time.Minute
	return []sharing{byWeight("on Redis in real time"), killed}
}

var sharesHeader = []string{"callers", "group", "calls", "part of the tokens", "bar", "p50 wait, s", "p99 wait, s", "bar", "use", "429s"}

// rows are the result's, one for each group.
func (r *sharingResult) rows() (rows [][]string) {
	for i := range r.groups {
		x := &r.groups[i]
		cells := []string{"", x.group.name, fmt.Sprint(x.calls), fmt.Sprintf("%.2f %%", 100*x.part), "", milli(x.p50), milli(x.p99), "", "", ""}
		if i == 0 {
			cells[0], cells[8], cells[9] = r.sharing.name, fmt.Sprintf("%.2f %%", 100*r.use), fmt.Sprint(r.refused)
		}
		if x.group.part > 0 {
			cells[4] = fmt.Sprintf("%.0f ± %v", 100*x.group.part, 100*x.group.within)
		}
		if x.group.p99 > 0 {
			cells[7] = milli(x.group.p99)
		}
		rows = append(rows, cells)
	}
	return rows
}

func milli(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Shares are what groups of callers got of a budget that they share.
func (d *document) Shares() string {
	t := &table{header: sharesHeader}
	for _, r := range d.shares {
		for _, cells := range r.rows() {
			t.add(cells...)
		}
	}
	return t.markdown()
}
