package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// batchAt gives a batch a ceiling.
func batchAt(limits ratelimiter.Limits) ratelimiter.Option {
	return ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {Limits: limits}, "chat": {}})
}

// A class uses no more than its ceiling, of all models together, and all of that; the calls of
// other classes don't wait for those that it holds back.
func TestClassKeepsToItsLimits(t *testing.T) {
	for name, shared := range map[string]bool{"models by themselves": false, "a limit for the account": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := []ratelimiter.Option{
					ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0), batchAt(ratelimiter.Limits{TPM: 6000, Burst: 10 * time.Second}),
					ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000}), ratelimiter.WithLimits("n", ratelimiter.Limits{TPM: 60_000}),
				}
				if shared {
					options = append(options, ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 100_000}))
				}
				l := newLimiter(t, options...)
				batch := ratelimiter.ContextWithClass(t.Context(), "batch")
				chat := ratelimiter.ContextWithClass(t.Context(), "chat")
				var mu sync.Mutex
				started := map[int64]int64{}
				const large, small = 5000, 100
				stop, cancel := context.WithCancel(batch)
				for model, size := range map[string]int64{"m": large, "n": small} {
					for range 3 {
						go func() {
							for {
								r, err := l.Acquire(stop, ratelimiter.Cost{Model: model, Tokens: size})
								if err != nil {
									return
								}
								r.Settle(ratelimiter.Usage{TotalTokens: size})
								mu.Lock()
								started[size] += size
								mu.Unlock()
							}
						}()
					}
				}
				const minutes = 20
				for range minutes * 4 {
					time.Sleep(15 * time.Second)
					synctest.Wait()
					for _, model := range []string{"m", "n"} {
						begun := time.Now()
						acquireIn(t, l, chat, ratelimiter.Cost{Model: model, Tokens: 8000}).Settle(ratelimiter.Usage{TotalTokens: 8000})
						if waited := time.Since(begun); waited > 0 {
							t.Fatalf("a call of another class waited %v", waited)
						}
					}
				}
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				total := started[large] + started[small]
				if most := int64(6000*minutes + 1000 + large); total > most || total < 6000*minutes*98/100 {
					t.Errorf("%d tokens were started of the class; want at most %d, and nearly all of them", total, most)
				}
				// Between models with lines of their own the first to ask gets what is left.
				if leastLarge, leastSmall := int64(large*minutes/4), int64(small*minutes); shared && (started[large] < leastLarge || started[small] < leastSmall) ||
					started[large] == 0 || started[small] == 0 {
					t.Errorf("%v of two sizes: one starves the other", started)
				}
				cancel()
			})
		})
	}
}

// warmBatch is a limiter whose model "m" is known to be as configured, for its batch too, and
// the context of that.
func warmBatch(t testing.TB, options ...ratelimiter.Option) (l *ratelimiter.Limiter, batch context.Context) {
	t.Helper()
	l = newWarm(t, options...)
	batch = ratelimiter.ContextWithClass(t.Context(), "batch")
	if status := callIn(t, l, openaitest.New(openaitest.WithHeaders(false)).Direct(), batch); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if err := l.Clear(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	return l, batch
}

// callIn makes a call of model "m", and returns the status.
func callIn(t testing.TB, l *ratelimiter.Limiter, base http.RoundTripper, ctx context.Context) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, chatURL, strings.NewReader(chatBody("m", 1, false)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.Client(base).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// acquireIn is acquire with another context than the test's.
func acquireIn(t testing.TB, l *ratelimiter.Limiter, ctx context.Context, call ratelimiter.Call) *ratelimiter.Reservation {
	t.Helper()
	r, err := l.Acquire(ctx, call)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The errors of calls that a ceiling holds back name it, State shows it, and what calls have
// not used comes back to it.
func TestClassLimitsShow(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l, batch := warmBatch(t, store, batchAt(ratelimiter.Limits{TPM: 300}))
		fails := func(ctx context.Context, cost int64, want string, is error) {
			t.Helper()
			_, err := l.Acquire(ctx, tokens(cost))
			var e *ratelimiter.Error
			if !errors.Is(err, is) || !errors.As(err, &e) || err.Error() != want || e.Owner != "class:batch" || e.Limit != 300 {
				t.Errorf("%v of %+v; want %s", err, e, want)
			}
		}
		fails(batch, 301, "ratelimiter: m, class batch: needs 301 tokens, the limit of class batch is 300 per minute (configured): shorten the input or lower max_tokens", ratelimiter.ErrTooLarge)
		first := acquireIn(t, l, batch, tokens(250))
		second := acquireIn(t, l, batch, tokens(100)) // it leaves a debt of 50
		fails(ratelimiter.ContextWithMaxWait(batch, time.Second), 10, "ratelimiter: m, class batch: the call can't start within its longest wait: it has waited 1s, and would wait at least 9.2s more for 10 tokens of 300 per minute of class batch", ratelimiter.ErrMaxWait)
		synctest.Wait()
		if d, err := l.Delay(batch, tokens(10)); err != nil || d != 9200*time.Millisecond {
			t.Errorf("it would wait %v, %v", d, err)
		}
		if d, err := l.Delay(t.Context(), tokens(10)); err != nil || d > 0 {
			t.Errorf("a call of no class would wait %v, %v", d, err)
		}
		row := func() ratelimiter.LimitState {
			t.Helper()
			state, err := l.State(t.Context())
			if err != nil || len(state.Scopes) != 2 || state.Scopes[0].Class != "" || state.Scopes[1].Class != "batch" || state.Scopes[1].Model != "m" {
				t.Fatalf("%+v, %v", state, err)
			}
			limits := state.Scopes[1].Limits
			if len(limits) != 3 || len(state.Scopes[0].Limits) != 2 {
				t.Errorf("%+v", state.Scopes)
			}
			return limits[2]
		}
		if r := row(); r.Owner != "class:batch" || r.Name != "tpm" || r.Limit != 300 || r.Remaining != -45 || r.Source != "configured" || r.Margin != 0 {
			t.Errorf("%+v", r)
		}
		first.Settle(ratelimiter.Usage{TotalTokens: 50})
		second.Cancel()
		synctest.Wait()
		if r := row(); r.Remaining != 255 {
			t.Errorf("%+v; want what the two have not used back", r)
		}
		if err := l.Clear(t.Context(), "m"); err != nil || row().Remaining != 300 {
			t.Errorf("%v, %+v after Clear", err, row())
		}
	})
}

// SetLimits changes ceilings, also for calls that wait, and leaves them as they are where it
// is told of no classes.
func TestSetLimitsOfClasses(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l, batch := warmBatch(t, store, batchAt(ratelimiter.Limits{TPM: 60}))
		acquireIn(t, l, batch, tokens(60)).Settle(ratelimiter.Usage{TotalTokens: 60})
		set := func(options ...ratelimiter.Option) {
			t.Helper()
			options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}))
			if err := l.SetLimits(options...); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		waited := make(chan time.Duration)
		go func() {
			acquireIn(t, l, batch, tokens(60)).Settle(ratelimiter.Usage{TotalTokens: 60})
			waited <- time.Since(begun)
		}()
		time.Sleep(500 * time.Millisecond)
		set()
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		set(batchAt(ratelimiter.Limits{TPM: 120}))
		if d := <-waited; d < 500*time.Millisecond || d > 2*time.Second {
			t.Errorf("it waited %v; the ceiling was raised after 600ms", d)
		}
		set(ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {}}))
		begun = time.Now()
		acquireIn(t, l, batch, tokens(200)).Settle(ratelimiter.Usage{TotalTokens: 200})
		if d := time.Since(begun); d > 0 {
			t.Errorf("without a ceiling it waited %v", d)
		}
		err := l.SetLimits(ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {Limits: ratelimiter.Limits{TPM: -1}}, "b": {Limits: ratelimiter.Limits{Burst: time.Second}}}))
		if err == nil || !strings.Contains(err.Error(), `class "a": TPM is -1`) || !strings.Contains(err.Error(), `class "b": Burst is set without`) {
			t.Errorf("%v; want both faults", err)
		}
	})
}

// A class's calls in flight have a limit over all models, beside the models' own.
func TestClassLimitsCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, batch := warmBatch(t, batchAt(ratelimiter.Limits{Concurrent: 2}))
		first := acquireIn(t, l, batch, tokens(1))
		acquireIn(t, l, batch, ratelimiter.Cost{Model: "n"})
		_, err := l.Acquire(ratelimiter.ContextWithMaxWait(batch, time.Second), tokens(1))
		var e *ratelimiter.Error
		if !errors.As(err, &e) || e.Owner != "class:batch" || e.Unit != "calls in flight" || !strings.Contains(err.Error(), "for a slot, the limit of class batch is 2 calls in flight") {
			t.Errorf("%v", err)
		}
		acquire(t, l, tokens(1)).Cancel()
		first.Settle(ratelimiter.Usage{TotalTokens: 1})
		acquireIn(t, l, batch, tokens(1)).Cancel()
	})
}

// What a server says of its limits changes nothing of a ceiling, and a throttle that pauses a
// model of which nothing is known pauses its calls of the class too.
func TestServerAndClassLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000, TPM: 6000}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), batchAt(ratelimiter.Limits{TPM: 6000, RPM: 100}))
		batch := ratelimiter.ContextWithClass(t.Context(), "batch")
		throttling := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"20"}}, Body: http.NoBody, Request: r}, nil
		})
		callIn(t, l, throttling, t.Context())
		begun := time.Now()
		if status := callIn(t, l, srv.Direct(), batch); status != 200 || time.Since(begun) < 19*time.Second {
			t.Errorf("status %d after %v; want a pause of 20s first", status, time.Since(begun))
		}
		for range 5 {
			callIn(t, l, srv.Direct(), batch)
		}
		state := stateOf(t, l)
		seen := map[string]int64{}
		for _, x := range state.Scopes[1].Limits {
			seen[fmt.Sprint(x.Owner, " ", x.Name, " ", x.Source)] = x.Limit
		}
		if seen["class:batch tpm configured"] != 6000 || seen["class:batch rpm configured"] != 100 ||
			seen["m tpm x-ratelimit-limit-tokens"] != 6000 || seen["m rpm x-ratelimit-limit-requests"] != 6000 {
			t.Errorf("%v", seen)
		}
	})
}

// A class that nobody has configured is warned of once, and a long wait names its class.
func TestWarningsOfClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := logged()
		l, batch := warmBatch(t, ratelimiter.WithWarnings(logger, 0), batchAt(ratelimiter.Limits{TPM: 60}))
		log.take()
		for _, class := range []string{"batch", "chat", "", "bach", "bach", "bach"} {
			acquireIn(t, l, ratelimiter.ContextWithClass(t.Context(), class), tokens(1)).Cancel()
		}
		want := `level=WARN msg="ratelimiter: this class is not configured, so its calls are of the default class" ratelimiter.class=bach ratelimiter.configured="[batch chat]"` + "\n"
		if got := log.take(); got != want {
			t.Errorf("logged %q; want %q", got, want)
		}
		for range 3 {
			acquireIn(t, l, batch, tokens(60)).Settle(ratelimiter.Usage{TotalTokens: 60})
		}
		if got := log.take(); !strings.Contains(got, "calls wait long") || !strings.Contains(got, "ratelimiter.class=batch") || !strings.Contains(got, `"60 tokens per minute of class batch"`) {
			t.Errorf("logged %q", got)
		}
		for i := range 100 { // names may come from anywhere
			acquireIn(t, l, ratelimiter.ContextWithClass(t.Context(), fmt.Sprint(strings.Repeat("x", 10_000), i)), ratelimiter.Cost{Model: "m"}).Cancel()
		}
		if got := log.take(); strings.Count(got, "this class is not configured") != 1 || len(got) > 1000 {
			t.Errorf("logged %d bytes", len(got))
		}
	})
}

// Without WithClasses no class is configured, and the first call of one is a warning too.
func TestWarningWithoutClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := logged()
		l := newWarm(t, ratelimiter.WithWarnings(logger, 0))
		log.take()
		for _, class := range []string{"", "chat", "chat"} {
			acquireIn(t, l, ratelimiter.ContextWithClass(t.Context(), class), tokens(1)).Cancel()
		}
		want := `level=WARN msg="ratelimiter: this class is not configured, so its calls are of the default class" ratelimiter.class=chat ratelimiter.configured=[]` + "\n"
		if got := log.take(); got != want {
			t.Errorf("logged %q; want %q", got, want)
		}
	})
}

// Models that share the account's limit have their turns, although one of them has no limit of its
// own and calls of a class that has.
func TestModelsTakeTurnsBesideAClassWithLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0), batchAt(ratelimiter.Limits{RPM: 6000}),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 600, Burst: time.Second}))
		var started [3]atomic.Int64
		var calls sync.WaitGroup
		stop, cancel := context.WithCancel(t.Context())
		for i, c := range []struct{ class, model string }{{"batch", "m"}, {"", "m"}, {"", "n"}} {
			ctx := ratelimiter.ContextWithClass(stop, c.class)
			for range 20 {
				calls.Go(func() {
					for {
						r, err := l.Acquire(ctx, ratelimiter.Cost{Model: c.model})
						if err != nil {
							return
						}
						started[i].Add(1)
						r.Settle(ratelimiter.Usage{})
					}
				})
			}
		}
		time.Sleep(time.Minute)
		cancel()
		calls.Wait()
		if batch, m, n := started[0].Load(), started[1].Load(), started[2].Load(); batch < 270 || m < 130 || n < 130 || batch+m+n > 620 {
			t.Errorf("%d calls of the class have started, %d others of its model, and %d of another one; want 300, 150 and 150", batch, m, n)
		}
	})
}
