package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A batch is a number of calls that all wait from the beginning. What its owner feels is
// when the last of them is answered: stock that is held back, and time lost at the ends.
type batch struct {
	name string
	bar  batchBar

	limits     openaitest.Limits
	subwindows *openaitest.Subwindows
	server     []openaitest.Option // what else the server does
	halved     time.Duration       // when its limits are; 0 for never
	foreign    float64             // the part of the tokens that others use
	learns     bool                // ours is configured with nothing
	calls      int
	declared   int64   // how many times too much output is declared
	estimates  float64 // what the server charges for a prompt, by what we count; 0 for 1
	largest    int     // tokens of the largest prompts

	processes, workers int
	answer, travel     time.Duration
}

// A batchBar is what ours must reach, in each seed. How a run ends, with a call whose answer
// takes two seconds or one that takes a tenth, moves a makespan by one or two per cent, and that
// of a short batch by five. So it also asks when the server has admitted the last call.
type batchBar struct {
	admitted float64       // the last call, by the oracle's, at most
	makespan float64       // by the oracle's, at most
	more     time.Duration // than the oracle's, at most; 0 does not ask
	refused  int           // 429s, at most
	lost     int           // calls, at most
	seeds    int
	aim      string // the bar that is aimed at, where this one is as far as ours gets
}

// String says what the bar asks of the last admission, the makespan, 429s and lost calls.
func (b batchBar) String() string {
	s := fmt.Sprintf("%.3f · %.3f · %d · %d", b.admitted, b.makespan, b.refused, b.lost)
	if b.more > 0 {
		s = fmt.Sprintf("+ %.1f s · %d · %d", b.more.Seconds(), b.refused, b.lost)
	}
	if b.aim != "" {
		s += " (aim " + b.aim + ")"
	}
	return s
}

// held is a bar that ours reaches where it misses this one, which it aims at.
func (b batchBar) held(admitted, makespan float64, refused int) batchBar {
	aim := b.String()
	b.admitted, b.makespan, b.refused, b.aim = admitted, makespan, refused, aim
	return b
}

const batchSeeds = 5

func atMost(makespan float64, refused int) batchBar {
	return batchBar{admitted: makespan, makespan: makespan, refused: refused, seeds: batchSeeds}
}

var batches = []batch{
	newBatch("unused kept", atMost(1.015, 0).held(1.015, 1.03, 0)),
	newBatch("unused given back", atMost(1.02, 0).held(1.02, 1.04, 0), givesBack),
	newBatch("20 × declared, given back", atMost(1.05, 0).held(1.05, 1.07, 0), givesBack, func(b *batch) { b.declared = 20 }),
	newBatch("20 × declared, kept", atMost(1.02, 3), func(b *batch) { b.declared, b.calls = 20, 600 }),
	newBatch("subwindows of 1 s", atMost(1.02, 10).held(1.02, 1.02, 25), inSubwindows(time.Second)),
	newBatch("subwindows of 10 s, no headers", atMost(1.02, 30), inSubwindows(10*time.Second), func(b *batch) {
		b.server = append(b.server, openaitest.WithHeaders(false))
	}),
	newBatch("subwindows of 10 s, Azure's headers", atMost(1.02, 10), inSubwindows(10*time.Second), func(b *batch) {
		b.subwindows.Reported = true
		b.server = append(b.server, openaitest.WithAzure(true))
	}),
	newBatch("foreign 30 %", atMost(1.02, 3).held(1.02, 1.03, 3), func(b *batch) { b.foreign = 0.3 }),
	newBatch("limits halved at 20 s", batchBar{admitted: 1.03, makespan: 1.03, refused: 15, seeds: 20}.held(1.03, 1.03, 25), func(b *batch) { b.halved = 20 * time.Second }),
	newBatch("slow answers", atMost(1.02, 0).held(1.02, 1.05, 4), func(b *batch) {
		b.answer, b.travel, b.workers = 2*time.Second, 30*time.Millisecond, 128
	}),
	newBatch("20,000 RPM and 8M TPM", atMost(1.02, 0).held(1.02, 1.05, 5), func(b *batch) {
		b.limits, b.calls = openaitest.Limits{RPM: 20_000, TPM: 8_000_000}, 10_000
	}),
	newBatch("500 RPM and 300k TPM", atMost(1.02, 0), func(b *batch) {
		b.limits, b.calls, b.largest = openaitest.Limits{RPM: 500, TPM: 300_000}, 600, 20_000
	}),
	newBatch("estimates 50 % too high", atMost(1.03, 0).held(1.045, 1.06, 2), func(b *batch) { b.estimates = 1 / 1.5 }),
	newBatch("estimates 23 % too low", atMost(1.03, 0).held(1.03, 1.03, 5), func(b *batch) { b.estimates = 1.3 }),
	newBatch("estimates 50 % too high, subwindows of 1 s", atMost(1.03, 20).held(1.05, 1.06, 36), inSubwindows(time.Second), func(b *batch) {
		b.estimates, b.largest = 1/1.5, 20_000
	}),
	newBatch("estimates 23 % too low, subwindows of 1 s", atMost(1.03, 20), inSubwindows(time.Second), func(b *batch) {
		b.estimates, b.largest = 1.3, 20_000
	}),
	newBatch("it fits the full bucket", batchBar{more: 2 * time.Second, seeds: batchSeeds, aim: "+ 1.5 s · 0 · 0"}, func(b *batch) { b.calls = 1000 }),
	newBatch("nothing configured", atMost(1.02, 0).held(1.02, 1.03, 0), func(b *batch) { b.learns = true }),
	newBatch("in Groq's dialect", atMost(1.02, 0), inDialect(openaitest.Groq), func(b *batch) {
		b.limits.RPM, b.limits.RPD = 0, 100_000
	}),
	newBatch("in Mistral's dialect", atMost(1.02, 0), inDialect(openaitest.Mistral)),
	newBatch("in Cerebras' dialect", atMost(1.02, 0), inDialect(openaitest.Cerebras), func(b *batch) {
		b.limits.RPD, b.limits.TPD = 100_000, 1_000_000_000
	}),
	newBatch("in Together's dialect", atMost(1.02, 10), inSubwindows(time.Second), inDialect(openaitest.Together)),
	newBatch("in DigitalOcean's dialect", atMost(1.02, 0), inDialect(openaitest.DigitalOcean), func(b *batch) {
		b.limits.RPM, b.limits.TPD = 100_000, 1_000_000_000
	}),
	newBatch("in Anthropic's dialect", atMost(1.02, 0), inDialect(openaitest.Anthropic)),
	newBatch("in Anthropic's dialect, foreign 30 %", atMost(1.02, 6), inDialect(openaitest.Anthropic), func(b *batch) { b.foreign = 0.3 }),
	newBatch("one process in memory", atMost(1.02, 0), func(b *batch) { b.processes, b.workers = 1, 256 }),
}

// newBatch is a batch of 3,100 calls of four processes at 6,000 RPM and 2.4M TPM, with
// full buckets.
func newBatch(name string, bar batchBar, more ...func(*batch)) batch {
	b := batch{
		name: name, bar: bar, limits: openaitest.Limits{RPM: 6000, TPM: 2_400_000}, calls: 3100, declared: 1,
		largest: 30_000, processes: 4, workers: 64, answer: 150 * time.Millisecond, travel: time.Millisecond,
	}
	for _, f := range more {
		f(&b)
	}
	return b
}

func givesBack(b *batch) { b.server = append(b.server, openaitest.WithRefunds(true)) }

// inDialect is a host that reports its limits in this dialect, to ours which is told nothing else.
// Azure's have batches of their own. OpenRouter and Fireworks tell nothing, which the long runs
// play.
func inDialect(d openaitest.Dialect) func(*batch) {
	return func(b *batch) { b.learns, b.server = true, append(b.server, openaitest.WithDialect(d)) }
}

func inSubwindows(length time.Duration) func(*batch) {
	return func(b *batch) {
		b.subwindows = &openaitest.Subwindows{Length: length, On: []openaitest.Limit{openaitest.RPM, openaitest.TPM}}
	}
}

// scenario is the batch's, for one run.
func (b *batch) scenario(seed uint64) *scenario {
	s := &scenario{
		name: b.name, limits: b.limits, subwindows: b.subwindows, server: b.server, learns: b.learns,
		processes: b.processes, trip: time.Millisecond, duration: time.Hour, log: b.jobs(seed),
	}
	if b.halved > 0 {
		s.events = append(s.events, event{b.halved, setLimits(scaledLimits(b.limits, 1, 2))})
	}
	if b.foreign > 0 {
		s.events = append(s.events, event{0, foreignPart(b.foreign)})
	}
	return s
}

// foreignPart lets others use a part of the tokens, all the time.
func foreignPart(part float64) func(*world) {
	const each = 20 * time.Millisecond
	return func(w *world) {
		w.calls.Go(func() {
			owed := 0.0
			for sleep(w.ctx, each) {
				owed += part * float64(w.scenario.limits.TPM) / 60 * each.Seconds()
				if w.server.Spend(model, openaitest.Cost{Tokens: int64(owed)}) {
					owed -= math.Floor(owed)
				}
			}
		})
	}
}

// jobs are the batch's calls: most are small, some have long prompts.
func (b *batch) jobs(seed uint64) []*job {
	r := rand.New(rand.NewPCG(seed, 9))
	jobs := make([]*job, b.calls)
	for i := range jobs {
		j := &job{index: i, words: 200 + r.IntN(201)}
		most := int64(200)
		switch u := r.Float64(); {
		case u < 0.01:
			j.words, most, j.large = b.largest, 2000, true
		case u < 0.11:
			j.words, most, j.large = (4000+r.IntN(4001))*b.largest/30_000, 2000, true
		}
		j.cap = most * b.declared
		j.charge = int64(j.words)
		if b.estimates > 0 {
			j.charge = int64(float64(j.words) * b.estimates)
		}
		j.output = int64(min(float64(most), 60*math.Pow(1-r.Float64(), -1/1.3)))
		j.travel = 10*time.Millisecond + time.Duration(r.ExpFloat64()*float64(b.travel))
		took := time.Duration(float64(b.answer)*math.Exp(0.3*r.NormFloat64())) + time.Duration(j.output)*time.Millisecond
		j.headers = j.travel + 10*time.Millisecond + took
		j.total = j.headers
		jobs[i] = j
	}
	return jobs
}

// batchFigures are what a run of a batch comes to.
type batchFigures struct {
	admitted, makespan time.Duration // when the last call is admitted, and answered
	refused, lost      int
}

// run plays the batch with a policy. It must be called in a synctest bubble.
func (b *batch) run(p *policy, seed uint64) batchFigures {
	s := b.scenario(seed)
	w := newWorld(s)
	w.jobs = s.log
	w.fleet = p.new(w)
	var lost int
	var mu sync.Mutex
	var workers sync.WaitGroup
	for i := range b.processes {
		w.launch(i)
		process := w.process(i)
		next := i // in the order of the batch, each process has its share
		draw := func() *job {
			mu.Lock()
			defer mu.Unlock()
			if next >= len(s.log) {
				return nil
			}
			j := s.log[next]
			next += b.processes
			return j
		}
		for range b.workers {
			workers.Go(func() {
				for j := draw(); j != nil; j = draw() {
					if w.call(process, j) != answered {
						mu.Lock()
						lost++
						mu.Unlock()
					}
				}
			})
		}
	}
	w.calls.Go(w.happen)
	workers.Wait()
	f := batchFigures{makespan: w.now(), lost: lost}
	w.cancel()
	w.calls.Wait()
	w.fleet.stop()
	for _, a := range w.attempts {
		if a.refused {
			f.refused++
		} else {
			f.admitted = max(f.admitted, a.at)
		}
	}
	return f
}

// A batchResult is what ours and the oracle come to, by seed.
type batchResult struct {
	batch        *batch
	ours, oracle []batchFigures
}

// missed says what of the bar ours has missed.
func (r *batchResult) missed() []string {
	var out []string
	for i := range r.ours {
		miss := func(format string, args ...any) {
			out = append(out, fmt.Sprintf("batch, %s, seed %d, ours: ", r.batch.name, i+1)+fmt.Sprintf(format, args...))
		}
		bar, x := &r.batch.bar, &r.ours[i]
		if more := x.makespan - r.oracle[i].makespan; bar.more > 0 && more > bar.more {
			miss("%v later than the oracle; the bar is %v", more, bar.more)
		}
		if a := r.admitted(i); bar.admitted > 0 && a > bar.admitted {
			miss("the last call is admitted at %.3f × the oracle's; the bar is %.3f", a, bar.admitted)
		}
		if m := r.makespan(i); bar.makespan > 0 && m > bar.makespan {
			miss("%.3f × the oracle's makespan; the bar is %.3f", m, bar.makespan)
		}
		if x.refused > bar.refused {
			miss("%d 429s; the bar is %d", x.refused, bar.refused)
		}
		if x.lost > bar.lost {
			miss("calls lost: %d; the bar is %d", x.lost, bar.lost)
		}
	}
	return out
}

// makespan is that of ours by the oracle's.
func (r *batchResult) makespan(i int) float64 {
	return r.ours[i].makespan.Seconds() / r.oracle[i].makespan.Seconds()
}

// admitted is when ours has the last call admitted, by the oracle's.
func (r *batchResult) admitted(i int) float64 {
	return r.ours[i].admitted.Seconds() / r.oracle[i].admitted.Seconds()
}

// row is the worst of the seeds.
func (r *batchResult) row() []string {
	var worst, admitted float64
	var more, least, longest time.Duration
	var refused, lost int
	for i := range r.ours {
		worst, admitted = max(worst, r.makespan(i)), max(admitted, r.admitted(i))
		more = max(more, r.ours[i].makespan-r.oracle[i].makespan)
		refused, lost = max(refused, r.ours[i].refused), max(lost, r.ours[i].lost)
		if o := r.oracle[i].makespan; least == 0 || o < least {
			least = o
		}
		longest = max(longest, r.oracle[i].makespan)
	}
	cells := []string{
		r.batch.name, r.batch.bar.String(), fmt.Sprintf("%.1f–%.1f", least.Seconds(), longest.Seconds()),
		fmt.Sprintf("%.3f", admitted), fmt.Sprintf("%.3f", worst), bare(more), fmt.Sprint(refused), fmt.Sprint(lost),
	}
	if len(r.missed()) > 0 {
		cells[3] = "**" + cells[3] + "**"
	}
	return cells
}

var batchHeader = []string{"batch", "bar", "oracle, s", "last admitted, by the oracle's", "makespan by the oracle's", "later, s", "429s", "lost"}

// Batches are the worst of each batch's seeds.
func (d *document) Batches() string {
	t := &table{header: batchHeader}
	for _, r := range d.batches {
		t.add(r.row()...)
	}
	return t.markdown()
}
