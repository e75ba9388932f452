// Package simulate plays the limiter and its peers against a strict server, in
// virtual time and with the same calls, beside an oracle that sees the server's
// state.
package simulate

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A scenario is a server, the calls that come, and what happens meanwhile.
type scenario struct {
	name      string
	limits    openaitest.Limits
	told      *openaitest.Limits // what policies are configured with; nil for the server's
	learns    bool               // ours is configured with nothing
	server    []openaitest.Option
	mix       mix
	load      load
	processes int
	duration  time.Duration
	warm      time.Duration // what comes before is not judged
	events    []event
	slice     time.Duration // of the server, for the oracle
	debits    bool          // the server charges undeclared output afterwards, for the oracle
	rtt       time.Duration // to the shared store
	steady    bool          // the stricter bar holds
	bar       *bar          // where it differs
}

// A bar is what ours must reach.
type bar struct {
	share   float64 // of the oracle's use
	refused float64 // per 1,000 calls
}

func (s *scenario) target() bar {
	switch {
	case s.bar != nil:
		return *s.bar
	case s.steady:
		return bar{0.995, 0}
	}
	return bar{0.98, 1}
}

// A load says when calls come.
type load struct {
	workers int     // of each process, always calling; 0 where calls come by themselves
	rate    float64 // a second, in all
	burst   int     // that come at once
}

// An event happens at a time of the scenario.
type event struct {
	at time.Duration
	do func(*world)
}

// A policy decides when a call is sent.
type policy struct {
	name string
	// start returns the transport of one process.
	start func(*world, int) http.RoundTripper
	// stop ends what start has begun, after the last call.
	stop func(*world)
}

// A world is one run of a policy in a scenario.
type world struct {
	scenario *scenario
	policy   *policy
	server   *openaitest.Server
	begun    time.Time
	shared   any // of the policy's processes

	ctx    context.Context
	cancel context.CancelFunc
	calls  sync.WaitGroup

	mu        sync.Mutex
	processes []*process
	bySeq     map[int64]*job
	records   []record
	lost      int
	foreign   openaitest.Cost // that waits for room
	random    *rand.Rand      // of the jobs
	next      int
}

// A process sends calls through a transport of its own.
type process struct {
	id        int
	ctx       context.Context
	kill      context.CancelFunc
	transport http.RoundTripper
}

// A record is what became of a call at the server.
type record struct {
	job      *job
	admitted time.Duration
	waited   time.Duration
	refused  bool
	cost     openaitest.Cost
}

// run plays a policy in a scenario. It must be called in a synctest bubble.
func run(s *scenario, p *policy) *world {
	w := &world{scenario: s, policy: p, begun: time.Now(), bySeq: map[int64]*job{}, random: rand.New(rand.NewPCG(1, 2))}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.server = openaitest.New(append([]openaitest.Option{
		openaitest.WithLimits(model, s.limits),
		openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return jobOf(c).charge }),
		openaitest.WithTiming(w.timing),
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			return openaitest.Answer{OutputTokens: jobOf(c).output, Text: "y"}
		}),
		openaitest.WithLog(w.log),
	}, s.server...)...)
	for i := range s.processes {
		w.launch(i)
	}
	w.calls.Go(w.happen)
	if s.load.workers == 0 {
		w.calls.Go(w.arrive)
	}
	time.Sleep(s.duration)
	w.cancel()
	w.calls.Wait()
	if p.stop != nil {
		p.stop(w)
	}
	return w
}

// launch starts process i, which may be the successor of a dead one.
func (w *world) launch(i int) {
	p := &process{id: i}
	p.ctx, p.kill = context.WithCancel(w.ctx)
	p.transport = w.policy.start(w, i)
	w.mu.Lock()
	if i < len(w.processes) {
		w.processes[i] = p
	} else {
		w.processes = append(w.processes, p)
	}
	w.mu.Unlock()
	for range w.scenario.load.workers {
		w.calls.Go(func() {
			for p.ctx.Err() == nil {
				w.call(p, w.draw())
			}
		})
	}
}

func (w *world) draw() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.scenario.mix.job(w.random, w.next)
}

// arrive lets calls come by themselves.
func (w *world) arrive() {
	l, random := w.scenario.load, rand.New(rand.NewPCG(3, 4))
	burst := max(1, l.burst)
	for {
		gap := time.Duration(random.ExpFloat64() / l.rate * float64(burst) * float64(time.Second))
		if !w.sleep(w.ctx, gap) {
			return
		}
		for range burst {
			j := w.draw()
			w.mu.Lock()
			p := w.processes[j.index%len(w.processes)]
			w.mu.Unlock()
			w.calls.Go(func() { w.call(p, j) })
		}
	}
}

func (w *world) happen() {
	for _, e := range w.scenario.events {
		if !w.sleep(w.ctx, time.Until(w.begun.Add(e.at))) {
			return
		}
		e.do(w)
	}
}

func (w *world) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// call sends a job as openai-go does: up to three attempts, as long apart as
// the server asks for.
func (w *world) call(p *process, j *job) {
	j.submitted, j.process = time.Now(), p.id
	for attempt := range 3 {
		resp, err := p.transport.RoundTrip(j.request(p.ctx, attempt))
		if err != nil {
			if p.ctx.Err() == nil {
				w.mu.Lock()
				w.lost++
				w.mu.Unlock()
			}
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusTooManyRequests || err != nil {
			return
		}
		after, err := strconv.ParseFloat(resp.Header.Get("Retry-After-Ms"), 64)
		if err != nil {
			after = 500 * float64(int(1)<<attempt)
		}
		if attempt < 2 && !w.sleep(p.ctx, time.Duration(after*float64(time.Millisecond))) {
			return
		}
	}
	w.mu.Lock()
	w.lost++
	w.mu.Unlock()
}

// base is the way to the server.
func (w *world) base() http.RoundTripper { return w.server.Direct() }

func (w *world) timing(c *openaitest.Call) openaitest.Timing {
	j := jobOf(c)
	w.mu.Lock()
	w.bySeq[c.Seq] = j
	w.mu.Unlock()
	return openaitest.Timing{Admission: j.travel, Refusal: j.travel + 50*time.Millisecond, Headers: j.headers, Total: j.total}
}

func (w *world) log(r openaitest.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.bySeq[r.Seq]
	delete(w.bySeq, r.Seq)
	if j == nil || r.Admitted.IsZero() {
		return
	}
	w.records = append(w.records, record{
		job: j, admitted: r.Admitted.Sub(w.begun), refused: r.Outcome == openaitest.Refused, cost: r.Cost,
		waited: r.Admitted.Sub(j.submitted) - j.travel,
	})
}

// spend charges the server for somebody else's call, as soon as there is room.
// The oracle leaves that room.
func (w *world) spend(c openaitest.Cost) {
	add := func(sign int64) {
		w.mu.Lock()
		w.foreign.Requests += sign * c.Requests
		w.foreign.Tokens += sign * c.Tokens
		w.mu.Unlock()
	}
	add(1)
	defer add(-1)
	for !w.server.Spend(model, c) && w.sleep(w.ctx, 20*time.Millisecond) {
	}
}
