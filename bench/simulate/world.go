package simulate

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A world is one run of a policy in a scenario.
type world struct {
	scenario *scenario
	server   *openaitest.Server
	fleet    fleet
	begun    time.Time
	length   time.Duration // of the run, once it is over

	ctx    context.Context
	cancel context.CancelFunc
	calls  sync.WaitGroup

	// find tells which job a request is.
	find func(*http.Request) *job

	mu        sync.Mutex
	processes []*process
	jobs      []*job // by index, but in real time
	bySeq     map[int64]*job
	attempts  []attempt
	announced openaitest.Cost // of others who are about to spend
}

// A process sends calls through a transport of its own.
type process struct {
	id        int
	ctx       context.Context
	kill      context.CancelFunc
	transport http.RoundTripper
}

// An attempt is what the server's buckets decided.
type attempt struct {
	at      time.Duration
	refused bool
	cost    openaitest.Cost
}

// run plays a policy in a scenario. It must be called in a synctest bubble.
func run(s *scenario, p *policy) *world {
	w := newWorld(s)
	w.fleet = p.new(w)
	for i := range s.processes {
		w.launch(i)
	}
	w.calls.Go(w.happen)
	switch {
	case s.log != nil:
		w.replay()
	case s.load.workers == 0:
		w.calls.Go(w.arrive)
	}
	_, until := p.judged(s)
	sleep(w.ctx, until)
	w.length = w.now()
	w.cancel()
	w.calls.Wait()
	w.fleet.stop()
	return w
}

// newWorld is a world in which nothing happens yet.
func newWorld(s *scenario) *world {
	w := &world{scenario: s, begun: time.Now(), bySeq: map[int64]*job{}}
	w.find = func(req *http.Request) *job { return w.jobAt(indexOf(req)) }
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.server = openaitest.New(append(s.options(),
		openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return w.find(c.Request).charge }),
		openaitest.WithTiming(w.timing),
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			return openaitest.Answer{OutputTokens: w.find(c.Request).output, Text: "y"}
		}),
		openaitest.WithLog(w.record))...)
	w.server.Account(model) // its time begins
	if s.spent {
		w.server.Spend(model, openaitest.Cost{Requests: s.limits.RPM, Tokens: s.limits.TPM})
	}
	return w
}

// now is the scenario's time.
func (w *world) now() time.Duration { return time.Since(w.begun) }

// launch starts a process, which may be the successor of a dead one.
func (w *world) launch(id int) {
	p := &process{id: id}
	p.ctx, p.kill = context.WithCancel(w.ctx)
	p.transport = w.fleet.start(id)
	w.mu.Lock()
	if id < len(w.processes) {
		w.processes[id] = p
	} else {
		w.processes = append(w.processes, p)
	}
	w.mu.Unlock()
	for range w.scenario.load.workers {
		w.calls.Go(func() {
			for p.ctx.Err() == nil {
				// Whoever was told without a trip that it is hopeless does not ask
				// for the next at once.
				if o := w.call(p, w.draw()); o == refused || o == failed {
					sleep(p.ctx, time.Second)
				}
			}
		})
	}
}

// kill lets a process die: its calls break off.
func (w *world) kill(id int) {
	w.mu.Lock()
	p := w.processes[id]
	w.mu.Unlock()
	w.fleet.kill(id)
	p.kill()
}

// draw is the next job, or nil.
func (w *world) draw() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.scenario.job(len(w.jobs))
	if j != nil {
		w.jobs = append(w.jobs, j)
	}
	return j
}

// arrive lets calls come by themselves.
func (w *world) arrive() {
	l, random := w.scenario.load, rand.New(rand.NewPCG(3, 4))
	burst := max(1, l.burst)
	for {
		gap := time.Duration(random.ExpFloat64() / l.rate * float64(burst) * float64(time.Second))
		if !sleep(w.ctx, gap) {
			return
		}
		for i := range burst {
			if i > 0 {
				sleep(w.ctx, time.Millisecond) // for the order to be the same whoever plays
			}
			j := w.draw()
			p := w.process(j.index % w.scenario.processes)
			w.calls.Go(func() { w.call(p, j) })
		}
	}
}

// replay lets the calls of a log come when they came, and ends the run with the
// last of them.
func (w *world) replay() {
	w.calls.Go(func() {
		var calls sync.WaitGroup
		for j := w.draw(); j != nil && sleep(w.ctx, j.at-w.now()); j = w.draw() {
			calls.Go(func() { w.call(w.process(0), j) })
		}
		calls.Wait()
		w.cancel()
	})
}

func (w *world) process(id int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.processes[id]
}

func (w *world) happen() {
	for _, e := range w.scenario.events {
		if !sleep(w.ctx, e.at-w.now()) {
			return
		}
		e.do(w)
	}
}

// call makes a call and notes what becomes of it.
func (w *world) call(p *process, j *job) outcome {
	ctx, cancel := p.ctx, context.CancelFunc(func() {})
	if j.patience > 0 {
		ctx, cancel = context.WithTimeout(ctx, j.patience)
	}
	defer cancel()
	w.mu.Lock()
	j.submitted, j.process = w.now(), p.id
	w.mu.Unlock()
	o := send(ctx, p.transport, "api.test", j)
	w.mu.Lock()
	defer w.mu.Unlock()
	j.ended = w.now()
	if p.ctx.Err() == nil {
		j.outcome = o
	}
	return o
}

// base is the way to the server.
func (w *world) base() http.RoundTripper { return w.server.Direct() }

func (w *world) jobAt(index int) *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[index]
}

// refusalTrip is how long a 429 takes to come back.
const refusalTrip = 50 * time.Millisecond

func (w *world) timing(c *openaitest.Call) openaitest.Timing {
	j := w.find(c.Request)
	w.mu.Lock()
	w.bySeq[c.Seq] = j
	w.mu.Unlock()
	return openaitest.Timing{Admission: j.travel, Throttle: j.travel + refusalTrip, Headers: j.headers, Total: j.total}
}

// record takes in what the server says of an attempt when it is done with it.
func (w *world) record(r openaitest.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.bySeq[r.Seq]
	delete(w.bySeq, r.Seq)
	if j == nil || r.Admitted.IsZero() {
		return
	}
	a := attempt{at: r.Admitted.Sub(w.begun), refused: r.Outcome == openaitest.Throttled, cost: r.Cost}
	w.attempts = append(w.attempts, a)
	if !a.refused {
		j.started = a.at
	}
}
