package ratelimiter_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A fate is a call of the property below, and what happens to it.
type fate struct {
	at, patience, maxWait time.Duration // 0: for as long as it takes
	cancelled             bool          // by its caller rather than by a deadline
	tokens                int64
	panics                string // the hook of its context that does
	settled               bool
	class, tenant         string
}

func drawFate(t *rapid.T) fate {
	ms := func(what string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Millisecond
	}
	return fate{
		at: ms("at", 20_000), patience: ms("patience", 30_000) * time.Duration(rapid.IntRange(0, 1).Draw(t, "impatient")),
		maxWait:   ms("max wait", 10_000) * time.Duration(rapid.IntRange(0, 1).Draw(t, "bounded")),
		cancelled: rapid.Bool().Draw(t, "cancelled"), tokens: rapid.SampledFrom([]int64{1, 100, 200, 300, 600, 650}).Draw(t, "tokens"),
		panics:  rapid.SampledFrom([]string{"", "", "", "", "Waiting", "Started", "NotStarted", "Settled"}).Draw(t, "panics"),
		settled: rapid.Bool().Draw(t, "settled"),
		class:   rapid.SampledFrom([]string{"", "", "chat"}).Draw(t, "class"),
		tenant:  rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "tenant"),
	}
}

// A tally is what the hooks have said of a call.
type tally struct{ waiting, started, notStarted, settled int }

// A gauge counts the calls that wait from a Trace alone.
type gauge struct{ n atomic.Int64 }

func (g *gauge) trace() *ratelimiter.Trace {
	ended := func(queued bool) {
		if queued {
			g.n.Add(-1)
		}
	}
	return &ratelimiter.Trace{
		Waiting:    func(context.Context, ratelimiter.WaitingInfo) { g.n.Add(1) },
		Started:    func(_ context.Context, i ratelimiter.StartedInfo) { ended(i.Queued) },
		NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) { ended(i.Queued) },
	}
}

// Each call that asks is reported once, as started or as not, and each that waits has
// waited until then, whatever happens: panics, ends of contexts, rejections, a store that
// fails, Clear, Shutdown, and a full queue whose places are shared: a call of a flow that has
// more than its share leaves it to another. So a gauge of the waiting calls is right at any
// moment.
func TestEveryWaitEnds(t *testing.T) {
	var displaced atomic.Int64
	property(t, func(rt *rapid.T) {
		fates := rapid.SliceOfN(rapid.Custom(drawFate), 8, 40).Draw(rt, "calls")
		kind := rapid.SampledFrom([]string{"memory", "store", "store that fails"}).Draw(rt, "backend")
		most := rapid.SampledFrom([]int{1, 3, 5, 1000}).Draw(rt, "most waiting")
		clear := time.Duration(rapid.IntRange(1, 60).Draw(rt, "clear")) * time.Second
		shutdown := time.Duration(rapid.IntRange(1, 60).Draw(rt, "shutdown")) * time.Second
		synctest.Test(t, func(t *testing.T) {
			var g gauge
			options := []ratelimiter.Option{ratelimiter.WithTrace(g.trace()), ratelimiter.WithMaxWaiting(most),
				ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 3}})}
			if kind != "memory" {
				s := newStore()
				s.mute, s.timeout = true, time.Second
				options = append(options, ratelimiter.WithBackend(s))
				if kind != "store" {
					time.AfterFunc(10*time.Second, func() { s.down.Store(true) })
					time.AfterFunc(15*time.Second, func() { s.down.Store(false) })
				}
			}
			l := newWarm(t, options...)
			time.AfterFunc(clear, func() { _ = l.Clear(context.Background(), "m") })
			time.AfterFunc(shutdown, func() { _ = l.Shutdown(context.Background()) })
			var waiting atomic.Int64 // by the callers' own count
			var wg sync.WaitGroup
			for _, f := range fates {
				wg.Go(func() { f.run(t, l, &waiting, &displaced) })
			}
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			for running := true; running; {
				select {
				case <-done:
					running = false
				case <-time.After(137 * time.Millisecond):
				}
				synctest.Wait()
				if got, want := g.n.Load(), waiting.Load(); got != want {
					t.Fatalf("the gauge shows %d; %d calls wait", got, want)
				}
				state, err := l.State(t.Context())
				if err == nil && int64(state.Scopes[0].Waiting) != g.n.Load() {
					t.Fatalf("the gauge shows %d, State %+v", g.n.Load(), state.Scopes[0])
				}
			}
			if n := g.n.Load(); n != 0 {
				t.Fatalf("the gauge shows %d when nobody is there", n)
			}
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	if t.Logf("%d calls left a full queue to others", displaced.Load()); displaced.Load() == 0 {
		t.Error("no call had to leave a full queue")
	}
}

// run makes the call, and checks what its hooks say.
func (f *fate) run(t *testing.T, l *ratelimiter.Limiter, waiting, displaced *atomic.Int64) {
	time.Sleep(f.at)
	ctx, cancel := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(context.Background(), f.class), f.tenant), func() {}
	switch {
	case f.patience > 0 && f.cancelled:
		ctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(f.patience, cancel).Stop()
	case f.patience > 0:
		ctx, cancel = context.WithTimeout(ctx, f.patience)
	}
	defer cancel()
	if f.maxWait > 0 {
		ctx = ratelimiter.ContextWithMaxWait(ctx, f.maxWait)
	}
	var said tally
	var notStarted ratelimiter.NotStartedInfo
	arrived := time.Now()
	hook := func(name string, n *int) {
		if *n++; f.panics == name {
			panic("hook")
		}
	}
	queued := func(is bool, waited time.Duration) {
		if is != (said.waiting > 0) || waited != time.Since(arrived) {
			t.Errorf("queued %t for %v; Waiting was called %d times, %v ago", is, waited, said.waiting, time.Since(arrived))
		}
	}
	ctx = ratelimiter.ContextWithTrace(ctx, &ratelimiter.Trace{
		Waiting: func(context.Context, ratelimiter.WaitingInfo) { waiting.Add(1); hook("Waiting", &said.waiting) },
		Started: func(_ context.Context, i ratelimiter.StartedInfo) {
			queued(i.Queued, i.Waited)
			hook("Started", &said.started)
		},
		NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) {
			notStarted = i
			queued(i.Queued, i.Waited)
			hook("NotStarted", &said.notStarted)
		},
		Settled: func(context.Context, ratelimiter.SettledInfo) { hook("Settled", &said.settled) },
	})
	var r *ratelimiter.Reservation
	var err error
	p := panics(func() { r, err = l.Acquire(ctx, tokens(f.tokens)) })
	waiting.Add(-int64(said.waiting))
	if said.started+said.notStarted != 1 || said.waiting > 1 {
		t.Errorf("%+v of one call", said)
	}
	if notStarted.Queued && errors.Is(err, ratelimiter.ErrQueueFull) {
		displaced.Add(1)
	}
	switch {
	case p == nil && (err == nil) != (said.started == 1), said.notStarted == 1 && p == nil && !errors.Is(notStarted.Err, err):
		t.Errorf("%v, but %+v and %+v", err, said, notStarted)
	case p != nil && said.notStarted == 1 && f.panics == "Waiting" && notStarted.Err != nil:
		t.Errorf("%+v of a call that panics", notStarted)
	}
	if r != nil {
		panics(func() {
			if f.settled {
				r.Settle(ratelimiter.Usage{TotalTokens: f.tokens / 2})
			} else {
				r.Cancel()
			}
		})
	}
	if said.settled != said.started {
		t.Errorf("%+v of a call that has ended", said)
	}
}
