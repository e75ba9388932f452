package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// oneAtATime lets one call of model m be in flight, and plenty in every other way.
var oneAtATime = ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 200, TPM: 100_000, Concurrent: 1})

// A call is in flight until its response's body has ended, and no longer.
func TestSlotIsHeldToTheEndOfTheBody(t *testing.T) {
	for name, tt := range map[string]struct {
		answer openaitest.Answer
		stream bool
		until  func(*http.Response) // the end of the response, but for its Close
		open   bool                 // the call is in flight before Close all the same
	}{
		"read to its end": {until: func(r *http.Response) { _, _ = io.ReadAll(r.Body) }},
		"a stream, read":  {stream: true, until: func(r *http.Response) { _, _ = io.ReadAll(r.Body) }},
		"not read":        {until: func(*http.Response) {}, open: true},
		"a stream, to its last event": {stream: true, open: true, until: func(r *http.Response) {
			var read strings.Builder
			for p := make([]byte, 1); !strings.HasSuffix(read.String(), "[DONE]"); {
				n, err := r.Body.Read(p)
				read.Write(p[:n])
				if err != nil {
					break
				}
			}
		}},
		"cut":            {stream: true, answer: openaitest.Answer{Cut: true, After: 50}, until: func(r *http.Response) { _, _ = io.ReadAll(r.Body) }},
		"an error":       {answer: openaitest.Answer{Status: 500}, until: func(*http.Response) {}, open: true},
		"an error, read": {answer: openaitest.Answer{Status: 400}, until: func(r *http.Response) { _, _ = io.ReadAll(r.Body) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{Concurrent: 1}))
				l := newLimiter(t, oneAtATime, ratelimiter.WithAccount("a"))
				warm(t, l, "m")
				srv.Inject(1, tt.answer)
				client := l.Client(srv.Direct())
				send := func() *http.Response {
					resp, err := client.Post(chatURL, "application/json", strings.NewReader(chatBody("m", 5, tt.stream)))
					if err != nil {
						t.Error(err)
					}
					return resp
				}
				first := send()
				second := make(chan *http.Response, 1)
				go func() { second <- send() }()
				synctest.Wait()
				if len(second) > 0 {
					t.Fatal("a second call starts before the response of the first has been read")
				}
				tt.until(first)
				synctest.Wait()
				if open := len(second) == 0; open != tt.open {
					t.Errorf("in flight: %t; want %t", open, tt.open)
				}
				first.Body.Close()
				resp := <-second
				if resp == nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("the second call: %v", resp)
				}
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
				if n := remaining(t, l, "m", "concurrent"); n != 1 {
					t.Errorf("%d slots are free at the end", n)
				}
			})
		})
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Calls that have no response body, or whose hooks panic, leave no slot behind.
func TestSlotsOfCallsWithoutABody(t *testing.T) {
	panics := &ratelimiter.Trace{}
	response := func(status int, body io.ReadCloser) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: body}, nil
		}
	}
	for name, tt := range map[string]struct {
		base  tripper
		trace func(*ratelimiter.Trace)
	}{
		"no response":        {base: func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }},
		"no body":            {base: response(200, http.NoBody)},
		"a nil body":         {base: response(200, nil)},
		"a redirect":         {base: response(302, http.NoBody)},
		"another protocol":   {base: response(101, io.NopCloser(strings.NewReader("")))},
		"a base that panics": {base: func(*http.Request) (*http.Response, error) { panic("base") }},
		"Started panics": {base: response(200, io.NopCloser(strings.NewReader("{}"))), trace: func(tr *ratelimiter.Trace) {
			tr.Started = func(context.Context, ratelimiter.StartedInfo) { panic("hook") }
		}},
		"Observed panics": {base: response(200, io.NopCloser(strings.NewReader("{}"))), trace: func(tr *ratelimiter.Trace) {
			tr.Observed = func(context.Context, ratelimiter.ObservedInfo) { panic("hook") }
		}},
		"Settled panics": {base: response(200, io.NopCloser(strings.NewReader("{}"))), trace: func(tr *ratelimiter.Trace) {
			tr.Settled = func(context.Context, ratelimiter.SettledInfo) { panic("hook") }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				*panics = ratelimiter.Trace{}
				l := newLimiter(t, oneAtATime, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(panics))
				warm(t, l, "m")
				if tt.trace != nil {
					tt.trace(panics)
				}
				func() {
					defer func() { _ = recover() }()
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, chatURL, strings.NewReader(chatBody("m", 5, false)))
					if err != nil {
						t.Fatal(err)
					}
					resp, err := l.Transport(tt.base).RoundTrip(req)
					if err == nil && resp.Body != nil && resp.StatusCode != http.StatusSwitchingProtocols {
						_, _ = io.ReadAll(resp.Body)
					}
				}()
				if n := remaining(t, l, "m", "concurrent"); n != 1 {
					t.Errorf("%d slots are free", n)
				}
			})
		})
	}
}

// A call that lacks a slot for too long says what it has waited for.
func TestRejectionsThatLackASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, oneAtATime, ratelimiter.WithAccount("a"))
		warm(t, l, "m")
		held := acquire(t, l, tokens(1))
		for _, tt := range []struct {
			how  func(context.Context) context.Context
			want string
		}{
			{
				func(ctx context.Context) context.Context { return ratelimiter.ContextWithMaxWait(ctx, 0) },
				"ratelimiter: m: the call can't start within its longest wait: it has waited 0s for a slot, the limit is 1 call in flight",
			},
			{
				func(ctx context.Context) context.Context { return ratelimiter.ContextWithMaxWait(ctx, 5*time.Second) },
				"ratelimiter: m: the call can't start within its longest wait: it has waited 5s for a slot, the limit is 1 call in flight",
			},
			{
				func(ctx context.Context) context.Context {
					ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
					t.Cleanup(cancel)
					return ctx
				},
				"ratelimiter: m: the call can't start before its deadline: it has waited 10s for a slot, the limit is 1 call in flight",
			},
		} {
			_, err := l.Acquire(tt.how(t.Context()), tokens(1))
			var e *ratelimiter.Error
			if !errors.As(err, &e) || e.Error() != tt.want {
				t.Errorf("%v; want %s", err, tt.want)
				continue
			}
			if e.Unit != "calls in flight" || e.Need != 1 || e.Limit != 1 || e.Source != "configured" {
				t.Errorf("%+v", e)
			}
		}
		held.Cancel()
		acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{})
	})
}

// What waits for a slot is seen, and where the limit stands.
func TestSlotsAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited []ratelimiter.WaitingInfo
		var started []time.Duration
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
			Waiting: func(_ context.Context, w ratelimiter.WaitingInfo) { waited = append(waited, w) },
			Started: func(_ context.Context, s ratelimiter.StartedInfo) { started = append(started, s.Waited) },
		}), ratelimiter.WithShared("f", ratelimiter.Limits{Concurrent: 2}, "m", "n"),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{Concurrent: 5}), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 200, TPM: 1000}))
		warm(t, l, "m")
		waited, started = nil, nil
		one, two := acquire(t, l, tokens(1)), acquire(t, l, tokens(1))
		go func() {
			time.Sleep(3 * time.Second)
			one.Settle(ratelimiter.Usage{})
		}()
		synctest.Wait()
		go func() { acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{}) }()
		synctest.Wait()
		state := stateOf(t, l)
		s := state.Scopes[0]
		limits := s.Limits[len(s.Limits)-2:]
		if limits[0].Name != "concurrent" || limits[0].Owner != "family:f" || limits[0].Limit != 2 || limits[0].Remaining != 0 ||
			limits[1].Owner != "account" || limits[1].Limit != 5 || limits[1].Remaining != 3 || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(5 * time.Second)
		two.Settle(ratelimiter.Usage{})
		if len(waited) != 1 || !waited[0].Slot || waited[0].Wait != 0 || len(started) != 3 || started[2] != 3*time.Second {
			t.Errorf("waiting %v, started after %v", waited, started)
		}
	})
}

// Limiters that share a backend share its slots, equally.
func TestLimitersShareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory.New()
		var mu sync.Mutex
		var calls sync.WaitGroup
		inFlight, most, started := 0, 0, [3]int{}
		stop := time.Now().Add(2 * time.Minute)
		for i := range started {
			l := newLimiter(t, ratelimiter.WithBackend(shared), ratelimiter.WithAccount("a"),
				ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 200_000, TPM: 100_000_000, Concurrent: 2}))
			warm(t, l, "m")
			for range 5 {
				calls.Go(func() {
					for time.Now().Before(stop) {
						r := acquire(t, l, tokens(1))
						mu.Lock()
						inFlight++
						most = max(most, inFlight)
						started[i]++
						mu.Unlock()
						time.Sleep(100 * time.Millisecond)
						mu.Lock()
						inFlight--
						mu.Unlock()
						r.Settle(ratelimiter.Usage{})
					}
				})
			}
		}
		calls.Wait()
		if most != 2 {
			t.Errorf("%d were in flight", most)
		}
		all := started[0] + started[1] + started[2]
		if all < 2300 {
			t.Errorf("%d calls of 2400 started", all)
		}
		for i, n := range started {
			if n < all/3-100 || n > all/3+100 {
				t.Errorf("limiter %d made %d of %d calls", i, n, all)
			}
		}
	})
}

// The calls in flight of one process are shared by weight also between models, and with a
// class that has ceilings: a call of another class does not wait behind a batch that came first.
func TestClassesShareSlots(t *testing.T) {
	for name, tt := range map[string]struct {
		other string // the model of class b
		batch ratelimiter.Limits
	}{
		"one model":        {other: "m"},
		"two models":       {other: "n"},
		"with ceilings":    {other: "m", batch: ratelimiter.Limits{RPM: 600_000}},
		"ceilings, models": {other: "n", batch: ratelimiter.Limits{Concurrent: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 600_000, Concurrent: 4}),
					ratelimiter.WithShared("f", ratelimiter.Limits{Concurrent: 5}, "m", "n"),
					ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {Weight: 3}, "b": {}, "batch": {Limits: tt.batch}}), ratelimiter.WithWarnings(nil, 0))
				ctx, cancel := context.WithCancel(t.Context())
				var calls sync.WaitGroup
				var started [3]atomic.Int64
				call := func(i int, class, model string) {
					r, err := l.Acquire(ratelimiter.ContextWithClass(ctx, class), ratelimiter.Cost{Model: model})
					if err != nil {
						return
					}
					started[i].Add(1)
					time.Sleep(500*time.Millisecond + rand.N(time.Second))
					r.Settle(ratelimiter.Usage{})
				}
				flood := func(i int, class, model string) {
					for range 2000 {
						calls.Go(func() { call(i, class, model) })
					}
					time.Sleep(10 * time.Second)
				}
				flood(2, "batch", "m")
				for range 5 {
					came := time.Now()
					call(1, "b", tt.other)
					if took := time.Since(came); took > 3*time.Second {
						t.Errorf("a call took %v behind the batch", took)
					}
				}
				flood(0, "a", "m")
				flood(1, "b", tt.other)
				var shares [3]int64
				for i := range started {
					shares[i] = -started[i].Load()
				}
				time.Sleep(100 * time.Second)
				for i := range started {
					shares[i] += started[i].Load()
				}
				all := shares[0] + shares[1] + shares[2]
				for i, want := range []int64{all * 3 / 5, all / 5, all / 5} {
					if got := shares[i]; all < 350 || got < want-all/40 || got > want+all/40 {
						t.Errorf("class %d started %d of %d calls; want %d", i, got, all, want)
					}
				}
				cancel()
				calls.Wait()
			})
		})
	}
}

// Calls that wait for a slot of their model stand in no other model's way, though its family has
// fewer left than they want.
func TestSlotsOfAModelAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: 1}),
			ratelimiter.WithShared("f", ratelimiter.Limits{RPM: 6000, Concurrent: 5}, "m", "n"))
		warm(t, l, "m")
		warm(t, l, "n")
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				r := acquire(t, l, tokens(1))
				time.Sleep(time.Second)
				r.Settle(ratelimiter.Usage{})
			})
		}
		synctest.Wait()
		came := time.Now()
		acquire(t, l, ratelimiter.Cost{Model: "n"}).Settle(ratelimiter.Usage{})
		if waited := time.Since(came); waited > 0 {
			t.Errorf("a call of another model waited %v", waited)
		}
		calls.Wait()
	})
}

func TestConcurrentFaults(t *testing.T) {
	limits := ratelimiter.Limits{Concurrent: 1}
	for want, options := range map[string][]ratelimiter.Option{
		`WithLimits("m"): Concurrent is -1: a limit must be positive`:  {ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: -1})},
		"Concurrent is 2199023255552: the most is":                     {ratelimiter.WithAccountLimits(ratelimiter.Limits{Concurrent: 1 << 41})},
		"can't share a limit on calls in flight":                       {ratelimiter.WithLimits("m", limits), ratelimiter.WithBackend(newStore())},
		"in flight (Concurrent): it does not implement backend.Lessor": {ratelimiter.WithShared("f", limits, "m"), ratelimiter.WithBackend(newStore())},
		"(Concurrent): it does not implement backend.Lessor":           {ratelimiter.WithAccountLimits(limits), ratelimiter.WithBackend(newStore())},
		"does not implement backend.Lessor":                            {ratelimiter.WithClasses(map[string]ratelimiter.Class{"c": {Limits: limits}}), ratelimiter.WithBackend(newStore())},
		"but no model, family or account has a Concurrent":             {ratelimiter.WithFallback(limits), ratelimiter.WithBackend(newStore())},
	} {
		if _, err := ratelimiter.New(options...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	l := newLimiter(t, ratelimiter.WithLimits("m", limits))
	if err := l.SetLimits(ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: 5})); err != nil {
		t.Error(err)
	}
	if err := newLimiter(t, ratelimiter.WithBackend(newStore())).SetLimits(ratelimiter.WithLimits("m", limits)); err == nil {
		t.Error("SetLimits sets a limit that the backend can't share")
	}
}

// A hook that panics when a reservation ends leaves no slot behind.
func TestSlotOfAReservationWhoseHookPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace := &ratelimiter.Trace{}
		l := newLimiter(t, oneAtATime, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(trace))
		warm(t, l, "m")
		r := acquire(t, l, tokens(1))
		trace.Settled = func(context.Context, ratelimiter.SettledInfo) { panic("hook") }
		func() {
			defer func() { _ = recover() }()
			r.Settle(ratelimiter.Usage{})
		}()
		if n := remaining(t, l, "m", "concurrent"); n != 1 {
			t.Errorf("%d slots are free", n)
		}
	})
}

// A countedMemory counts asks, and answers no more than so many.
type countedMemory struct {
	*memory.Backend
	takes atomic.Int64
}

func (c *countedMemory) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if c.takes.Add(1) > 1000 {
		return backend.Answer{}, errAway
	}
	return c.Backend.Take(ctx, ask)
}

// Calls for which there are too few slots, but which wait for tokens, ask when there may be some.
func TestSlotsThatComeBackWakeNobodyInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countedMemory{Backend: memory.New()}
		l := newLimiter(t, ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"),
			ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600, Concurrent: 1}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {}}))
		warm(t, l, "m")
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		var work sync.WaitGroup
		for i := range 10 {
			work.Go(func() {
				ctx := ratelimiter.ContextWithClass(t.Context(), []string{"a", "b"}[i%2])
				acquireIn(t, l, ctx, tokens(10)).Settle(ratelimiter.Usage{})
			})
		}
		work.Wait()
		if n := store.takes.Load(); n > 50 {
			t.Errorf("ten calls asked %d times", n)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Where tokens are short too, classes share these, as if there were slots for all: a large call
// is not starved.
func TestLargeCallsAmongFewSlots(t *testing.T) {
	for slots := range int64(3) {
		t.Run(fmt.Sprint(slots+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testLargeCallsAmongFewSlots(t, slots+1) })
		})
	}
}

func testLargeCallsAmongFewSlots(t *testing.T, slots int64) {
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000, TPM: 600, Concurrent: slots}),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"large": {}, "small": {}}))
	warm(t, l, "m")
	var over atomic.Bool
	var large, small atomic.Int64
	var work sync.WaitGroup
	calls := func(callers int, class string, cost int64, started *atomic.Int64) {
		for range callers {
			work.Go(func() {
				ctx := ratelimiter.ContextWithClass(t.Context(), class)
				for !over.Load() {
					r := acquireIn(t, l, ctx, tokens(cost))
					time.Sleep(time.Millisecond)
					r.Settle(ratelimiter.Usage{})
					started.Add(cost)
				}
			})
		}
	}
	calls(1, "large", 500, &large)
	calls(20, "small", 10, &small)
	time.Sleep(30 * time.Minute)
	over.Store(true)
	work.Wait()
	if a, b := large.Load(), small.Load(); a < 8000 || b < 8000 {
		t.Errorf("%d tokens for large calls and %d for small ones; want as much for both", a, b)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
