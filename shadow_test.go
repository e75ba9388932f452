package ratelimiter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// warmInShadow is warm for a limiter that takes in responses later.
func warmInShadow(t *testing.T, l *ratelimiter.Limiter) {
	t.Helper()
	warm(t, l, "m")
	synctest.Wait()
	if err := l.Clear(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
}

type callKey struct{}

// A plannedCall comes at a time, takes some, and uses half of its tokens.
type plannedCall struct {
	at, takes, deadline time.Duration
	tokens              int64
	class               string
}

// fates runs the calls, and returns what became of each, or would have: its wait, or the
// code of its rejection. In shadow it fails if any call has waited.
func fates(t *testing.T, shadow bool, calls []plannedCall, options ...ratelimiter.Option) map[int]string {
	t.Helper()
	got := map[int]string{}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		set := func(ctx context.Context, fate string) {
			mu.Lock()
			defer mu.Unlock()
			if i, ok := ctx.Value(callKey{}).(int); ok {
				got[i] = fate
			}
		}
		l := newLimiter(t, append(options, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0), ratelimiter.WithTrace(&ratelimiter.Trace{
			Started: func(ctx context.Context, i ratelimiter.StartedInfo) {
				if i.Shadow != shadow {
					t.Errorf("%+v", i)
				}
				set(ctx, i.Waited.String())
			},
			NotStarted: func(ctx context.Context, i ratelimiter.NotStartedInfo) {
				var e *ratelimiter.Error
				if errors.As(i.Err, &e) {
					set(ctx, e.Code())
				} else {
					set(ctx, fmt.Sprint(i.Err))
				}
			},
		}))...)
		warmInShadow(t, l)
		for i, c := range calls {
			go func() {
				// No two at the same moment, for their order would be anybody's.
				time.Sleep(c.at + time.Duration(i)*time.Microsecond)
				ctx := context.WithValue(t.Context(), callKey{}, i)
				ctx = ratelimiter.ContextWithClass(ctx, c.class)
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				came := time.Now()
				r, err := l.Acquire(ctx, tokens(c.tokens))
				if err != nil {
					return
				}
				if shadow && time.Since(came) > 0 {
					t.Errorf("a call has waited %v", time.Since(came))
				}
				time.Sleep(c.takes)
				r.Settle(ratelimiter.Usage{TotalTokens: max(1, c.tokens/2)})
			}()
		}
		time.Sleep(time.Hour)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return got
}

// What a limiter in shadow says of each call is what one does with it that is not.
func TestShadowIsTheLimiter(t *testing.T) {
	burst := func(n int, of plannedCall) (calls []plannedCall) {
		for range n {
			calls = append(calls, of)
		}
		return calls
	}
	limits := ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600})
	tests := map[string]struct {
		calls   []plannedCall
		options []ratelimiter.Option
		want    string // some call's fate
	}{
		"waits": {burst(20, plannedCall{tokens: 100, takes: 2 * time.Second}), []ratelimiter.Option{limits}, "45.099982s"},
		"longest waits": {burst(20, plannedCall{tokens: 100, takes: 2 * time.Second}),
			[]ratelimiter.Option{limits, ratelimiter.WithMaxWait(20 * time.Second)}, "max_wait"},
		"no waits": {burst(20, plannedCall{tokens: 100, takes: 2 * time.Second}),
			[]ratelimiter.Option{limits, ratelimiter.WithMaxWait(0)}, "max_wait"},
		"deadlines": {burst(20, plannedCall{tokens: 100, takes: time.Second, deadline: 15 * time.Second}),
			[]ratelimiter.Option{limits}, "deadline"},
		"full lines": {burst(20, plannedCall{tokens: 100, takes: time.Second}),
			[]ratelimiter.Option{limits, ratelimiter.WithMaxWaiting(5)}, "queue_full"},
		"too large": {append(burst(3, plannedCall{tokens: 100}), plannedCall{tokens: 601}), []ratelimiter.Option{limits}, "too_large"},
		"calls in flight": {burst(9, plannedCall{tokens: 1, takes: 7 * time.Second}),
			[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: 2})}, "20.999994s"},
		"classes": {append(burst(30, plannedCall{tokens: 100, takes: time.Second, class: "batch"}),
			plannedCall{at: 20 * time.Second, tokens: 100, takes: time.Second, class: "chat"}),
			[]ratelimiter.Option{limits, ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 100}, "batch": {Weight: 1}})}, "99.971ms"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			is := fates(t, false, tt.calls, tt.options...)
			would := fates(t, true, tt.calls, append(tt.options, ratelimiter.WithShadow())...)
			if len(is) != len(tt.calls) || !maps.Equal(is, would) {
				t.Errorf("in shadow %v,\nelse %v", would, is)
			}
			if !slices.Contains(slices.Collect(maps.Values(is)), tt.want) {
				t.Errorf("no call's fate is %s: %v", tt.want, is)
			}
		})
	}
}

// quietShadow makes a limiter in shadow that has an account and no log.
func quietShadow(t testing.TB, options ...ratelimiter.Option) *ratelimiter.Limiter {
	return newLimiter(t, append([]ratelimiter.Option{ratelimiter.WithShadow(), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0)}, options...)...)
}

// A burst of twice what the server lets through goes there as it comes. Its throttles would
// not have been, and those waits would that are without the shadow.
func TestShadowOfABurst(t *testing.T) {
	const calls = 120
	limits := ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 1_000_000})
	burst := func(t *testing.T, l *ratelimiter.Limiter) (took time.Duration, statuses map[int]int) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 1_000_000}), openaitest.WithLatency(time.Second, 2*time.Second))
		c := l.Client(srv.Direct())
		var mu sync.Mutex
		statuses = map[int]int{}
		start := time.Now()
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				status, _ := post(t, c, chatURL, chatBody("m", 10, false))
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		wg.Wait()
		return time.Since(start), statuses
	}
	var really time.Duration
	synctest.Test(t, func(t *testing.T) {
		really, _ = burst(t, newLimiter(t, limits, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0)))
	})
	synctest.Test(t, func(t *testing.T) {
		var avoided, told atomic.Int64
		l := quietShadow(t, limits, ratelimiter.WithTrace(&ratelimiter.Trace{Paused: func(_ context.Context, i ratelimiter.PausedInfo) {
			told.Add(1)
			if i.Shadow && i.Avoided && i.For == 0 {
				avoided.Add(1)
			}
		}}))
		took, statuses := burst(t, l)
		if took > 3*time.Second {
			t.Errorf("the calls took %v", took)
		}
		synctest.Wait()
		throttled := int64(statuses[http.StatusTooManyRequests])
		if throttled < calls/3 || statuses[http.StatusOK] != calls-int(throttled) {
			t.Errorf("%v", statuses)
		}
		early := l.ShadowReport()
		if got := early.Total; got.Calls != calls || got.Undecided == 0 {
			t.Errorf("while some would wait: %+v", got)
		}
		state, err := l.State(t.Context())
		if err != nil || !state.Shadow || state.Scopes[0].Waiting != int(early.Total.Undecided) {
			t.Errorf("%+v, %v", state, err)
		}
		time.Sleep(5 * time.Minute)
		got := l.ShadowReport().Total
		if got.Throttled != throttled || got.Avoided != throttled || avoided.Load() != throttled || told.Load() != throttled {
			t.Errorf("%d throttles: %+v, %d of %d told as avoided", throttled, got, avoided.Load(), told.Load())
		}
		if got.Waited+got.AtOnce != calls || got.Undecided != 0 || got.Waited < calls/3 {
			t.Errorf("%+v", got)
		}
		if ratio := float64(got.Wait.Max+2*time.Second) / float64(really); ratio < .95 || ratio > 1.05 {
			t.Errorf("the longest would have waited %v; all of them took %v", got.Wait.Max, really)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What others use of the budget is noticed, but not while the server knows calls that would
// not have been sent. Then no throttle pauses anybody either, for it would not have come.
func TestShadowSeesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 200, TPM: 60_000}))
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 200, TPM: 60_000}))
		c := l.Client(srv.Direct())
		send := func() int64 {
			post(t, c, chatURL, chatBody("m", 100, false))
			synctest.Wait()
			return remaining(t, l, "m", "tpm")
		}
		send()
		time.Sleep(5 * time.Second)
		srv.Spend("m", openaitest.Cost{Tokens: 50_000})
		if got := send(); got > 10_000 || got < 9_000 {
			t.Errorf("%d tokens remain; want what the others have left of 60,000", got)
		}
		time.Sleep(2 * time.Minute)
		acquire(t, l, tokens(20_000)).Settle(ratelimiter.Usage{})
		synctest.Wait()
		r, err := l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 0), tokens(50_000)) // is sent all the same
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ratelimiter.Usage{})
		synctest.Wait()
		srv.Spend("m", openaitest.Cost{Tokens: 50_000})
		before := remaining(t, l, "m", "tpm")
		if got := send(); got < before-200 {
			t.Errorf("%d tokens remain of %d, though the server has been sent what would not have been", got, before)
		}
		srv.Inject(1, openaitest.Answer{Status: 429, RetryAfter: 20 * time.Second})
		send()
		state, err := l.State(t.Context())
		if err != nil || state.Scopes[0].Paused > 0 {
			t.Errorf("%+v, %v", state, err)
		}
		if got := l.ShadowReport().Total; got.Throttled != 1 || got.Avoided != 1 {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Minute)
		srv.Spend("m", openaitest.Cost{Tokens: 30_000})
		if got := send(); got > 30_000 || got < 29_000 {
			t.Errorf("%d tokens remain after a while; want what the others have left", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Requests, responses and errors are those that there would be without a limiter.
func TestShadowAltersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exchange := func(rt func(http.RoundTripper) *http.Client, status int, body string) (sent, got string) {
			c := rt(roundTripFunc(func(req *http.Request) (*http.Response, error) {
				b, err := io.ReadAll(req.Body)
				sent = string(b)
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/event-stream"}},
					Body: io.NopCloser(strings.NewReader(body)), Request: req}, err
			}))
			_, got = post(t, c, chatURL, chatBody("m", 100, true))
			return sent, got
		}
		l := quietShadow(t, ratelimiter.WithStreamUsage(), ratelimiter.WithRejectionResponses(), ratelimiter.WithMaxWait(0),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1, TPM: 10}))
		for status, body := range map[int]string{
			200: "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n",
			429: `{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}`,
		} {
			wantSent, want := exchange(func(rt http.RoundTripper) *http.Client { return &http.Client{Transport: rt} }, status, body)
			for range 3 {
				if sent, got := exchange(l.Client, status, body); sent != wantSent || got != want {
					t.Errorf("sent %q, got %q; want %q, %q", sent, got, wantSent, want)
				}
			}
		}
		synctest.Wait()
		if got := l.ShadowReport().Total; got.Rejected["too_large"] != 6 {
			t.Errorf("%+v", got)
		}
	})
}

// A body of an error that does not come holds nothing up.
func TestShadowWaitsForNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, end := io.Pipe()
		l := quietShadow(t)
		c := l.Client(roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{}, Body: body, Request: req}, nil
		}))
		start := time.Now()
		resp, err := c.Post(chatURL, "application/json", strings.NewReader(chatBody("m", 1, false)))
		if err != nil || time.Since(start) > 0 {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		go func() {
			_, _ = end.Write([]byte(`{"error":{"message":"Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","code":"rate_limit_exceeded"}}`))
			end.Close()
		}()
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		synctest.Wait()
		if got := l.ShadowReport().Total; got.Throttled != 1 || got.Avoided != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A throttle of a call that would have started at once pauses the shadow as it would have.
func TestShadowPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60}))
		srv.Spend("m", openaitest.Cost{Requests: 60})
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 1, false))
		synctest.Wait()
		state, err := l.State(t.Context())
		if err != nil || state.Scopes[0].Paused == 0 {
			t.Errorf("%+v, %v", state, err)
		}
		if got := l.ShadowReport().Total; got.Throttled != 1 || got.Avoided != 0 || got.AtOnce != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A backend that does not answer holds nothing up, and no error reaches a caller.
func TestShadowOfABackendThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		store.timeout = 5 * time.Second
		store.down.Store(true)
		srv := openaitest.New()
		l := quietShadow(t, ratelimiter.WithBackend(store), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
		c := l.Client(srv.Direct())
		start := time.Now()
		for range 3 {
			if status, _ := post(t, c, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Minute)
		if got := l.ShadowReport().Total; got.Rejected["backend"] != 3 {
			t.Errorf("%+v", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Hooks that panic are logged, and harm no call.
func TestShadowOfHooksThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		boom := func() { panic("boom") }
		srv := openaitest.New()
		l := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithAccount("a"),
			ratelimiter.WithWarnings(slog.New(slog.NewTextHandler(&log, nil)), 0),
			ratelimiter.WithTrace(&ratelimiter.Trace{
				Started:  func(context.Context, ratelimiter.StartedInfo) { boom() },
				Observed: func(context.Context, ratelimiter.ObservedInfo) { boom() },
				Settled:  func(context.Context, ratelimiter.SettledInfo) { boom() },
			}))
		c := l.Client(srv.Direct())
		for range 2 {
			if status, _ := post(t, c, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			synctest.Wait()
		}
		if got := l.ShadowReport().Total; got.NotFollowed != 2 || got.Calls != 2 {
			t.Errorf("%+v", got)
		}
		if n := strings.Count(log.String(), "panic in shadow"); n < 4 || !strings.Contains(log.String(), "boom") {
			t.Errorf("%d panics logged: %s", n, &log)
		}
	})
}

// What Acquire would fail for is let through, and counted.
func TestShadowOfCallsThatCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithWarnings(nil, 0))
		for _, account := range []string{"a", "b"} {
			acquire(t, l, tokens(1)).Cancel()
			r, err := l.Acquire(ratelimiter.ContextWithAccount(t.Context(), account), tokens(1))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			r.Cancel()
		}
		for _, call := range []ratelimiter.Call{nil, ratelimiter.JSON("no/such/path", nil), tokens(1)} { // the last means one of two accounts
			r := acquire(t, l, call)
			if c := r.Cost(); c != (ratelimiter.Cost{}) {
				t.Errorf("%v has a cost, %+v", call, c)
			}
			r.Settle(ratelimiter.Usage{TotalTokens: 5})
		}
		if got := l.ShadowReport().Total; got.Rejected["other"] != 3 {
			t.Errorf("%+v", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		acquire(t, l, ratelimiter.Cost{Model: "m"}).Cancel()
	})
}

// A caller that gives up leaves the line; one that is done does not.
func TestShadowOfCallersThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600}))
		warmInShadow(t, l)
		acquire(t, l, tokens(600))
		synctest.Wait()
		before := l.ShadowReport().Total
		ctx, cancel := context.WithCancel(t.Context())
		go postWithin(ctx, l.Client(never), chatBody("m", 100, false))
		done, cancelDone := context.WithCancel(t.Context())
		r, err := l.Acquire(done, tokens(100))
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ratelimiter.Usage{TotalTokens: 50})
		cancelDone()
		synctest.Wait()
		cancel()
		acquire(t, l, tokens(100)).Cancel()
		time.Sleep(time.Minute)
		got := l.ShadowReport().Total
		if got.Cancelled-before.Cancelled != 2 || got.Waited-before.Waited != 1 || got.Undecided != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A limiter in shadow draws from another ledger than others with its backend; those in
// shadow share one.
func TestShadowLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		limits := ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 1000})
		with := ratelimiter.WithBackend(store)
		real := newLimiter(t, with, limits, ratelimiter.WithAccount("a"))
		one, other := quietShadow(t, with, limits), quietShadow(t, with, limits)
		acquire(t, real, tokens(7)).Settle(ratelimiter.Usage{})
		acquire(t, one, tokens(50)).Settle(ratelimiter.Usage{})
		acquire(t, other, tokens(300)).Settle(ratelimiter.Usage{})
		synctest.Wait()
		for l, want := range map[*ratelimiter.Limiter]int64{real: 993, one: 650, other: 650} {
			if got := remaining(t, l, "m", "tpd"); got != want {
				t.Errorf("%d tokens remain, want %d", got, want)
			}
		}
		if err := one.Clear(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
		if a, b := remaining(t, real, "m", "tpd"), remaining(t, other, "m", "tpd"); a != 993 || b != 1000 {
			t.Errorf("after Clear in shadow %d and %d remain", a, b)
		}
	})
}

// Shutdown ends those that would wait, and logs the report.
func TestShadowReportAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithAccount("a"),
			ratelimiter.WithWarnings(slog.New(slog.NewTextHandler(&log, nil)), 0),
			ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600}))
		warmInShadow(t, l)
		for _, n := range []int64{590, 20, 601, 600} {
			acquire(t, l, tokens(n)).Settle(ratelimiter.Usage{})
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := "ratelimiter.waited=1 ratelimiter.undecided=1"
		if s := log.String(); !strings.Contains(s, "ratelimiter: what would have been") || !strings.Contains(s, want) {
			t.Errorf("want %s in %s", want, s)
		}
		r := l.ShadowReport()
		if got := r.Total.Rejected; len(got) != 1 || got["too_large"] != 1 || r.Total.Undecided != 1 || len(r.Models) != 1 || r.Models[0].Model != "m" {
			t.Errorf("%+v", r)
		}
		for _, line := range []string{"5 calls: 2 at once", "1 would have waited for 1.", "1 would have been rejected: 1 too_large", "0 throttled by the server, of which the limiter would have prevented 0"} {
			if !strings.Contains(r.String(), line) {
				t.Errorf("%q is missing in\n%s", line, r)
			}
		}
	})
}

// Nothing but ErrNoLimiter fails.
func TestShadowReportOfNoLimiter(t *testing.T) {
	var none *ratelimiter.Limiter
	if r := none.ShadowReport(); r.Total.Calls != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := none.Acquire(t.Context(), tokens(1)); !errors.Is(err, ratelimiter.ErrNoLimiter) {
		t.Error(err)
	}
}

// A slot is held for as long as the response takes, from when it would have been.
func TestShadowHoldsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLatency(time.Second, 2*time.Second))
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: 1}))
		c := l.Client(srv.Direct())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { post(t, c, chatURL, chatBody("m", 1, false)) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if got := l.ShadowReport().Total; got.AtOnce != 1 || got.Waited != 2 || got.Wait.Max != 4*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

// A request that is made with a reservation is that reservation's call.
func TestShadowOfReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false))
		l := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithWarnings(nil, 0), ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 100_000}))
		c := l.Client(srv.Direct())
		for range 2 {
			err := l.Do(t.Context(), tokens(1000), func(ctx context.Context) (ratelimiter.Usage, error) {
				if status := postWithin(ctx, c, chatBody("m", 50, false)); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
				return ratelimiter.Usage{TotalTokens: 7777}, nil
			})
			if err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if got := l.ShadowReport().Total; got.Calls != 2 {
			t.Errorf("%+v", got)
		}
		if used := 100_000 - remaining(t, l, "m", "tpd"); used < 20 || used > 200 {
			t.Errorf("%d tokens are used, want those of the responses", used)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A line that nothing slows down has an end, and so have the names of models.
func TestShadowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 1}))
		warmInShadow(t, l)
		before := l.ShadowReport().Total
		for range 10_011 {
			acquire(t, l, ratelimiter.Cost{Model: "m"})
		}
		synctest.Wait()
		if got := l.ShadowReport().Total; got.Undecided != 10_000 || got.NotFollowed != 10 || got.AtOnce != before.AtOnce+1 {
			t.Errorf("%+v", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range 1000 {
			acquire(t, l, ratelimiter.Cost{Model: fmt.Sprint("model ", i)})
		}
		synctest.Wait()
		r := l.ShadowReport()
		if len(r.Models) != 257 || r.Models[0].Model != "" || r.Models[0].Calls != 1000-255 || r.Total.Calls != before.Calls+11_011 {
			t.Errorf("%d models, %+v", len(r.Models), r.Models[0])
		}
	})
}

// What would wait keeps no request's body, which its caller has long sent.
func TestShadowKeepsNoBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quietShadow(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1}))
		c := l.Client(roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}))
		const calls, size = 16, 1 << 20
		text := strings.Repeat("a word ", size/7)
		held := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := held()
		for range calls {
			post(t, c, chatURL, fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, text))
		}
		synctest.Wait()
		if got := l.ShadowReport().Total; got.Undecided < calls-2 {
			t.Fatalf("%+v; want almost all to wait", got)
		}
		if after := held(); after > before+calls*size/4 {
			t.Errorf("%d calls that wait keep %d bytes", calls, after-before)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A throttle whose headers say it all counts, also if its caller does not read it.
func TestShadowOfAThrottleThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, end := io.Pipe()
		defer end.Close()
		l := quietShadow(t)
		c := l.Client(roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"20"}}, Body: body, Request: req}, nil
		}))
		resp, err := c.Post(chatURL, "application/json", strings.NewReader(chatBody("m", 1, false)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		synctest.Wait()
		if got := l.ShadowReport().Total; got.Throttled != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// What would have come after a limiter's end comes before it: Shutdown waits for the hooks, and
// nothing is left of the calls.
func TestShadowEndsWithShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var settled atomic.Int64
		var ends time.Time
		l := quietShadow(t, ratelimiter.WithBackend(store), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600, Concurrent: 5}),
			ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(context.Context, ratelimiter.SettledInfo) {
				if !ends.IsZero() && time.Since(ends) > 0 {
					t.Errorf("settled %v after the end", time.Since(ends))
				}
				settled.Add(1)
			}}))
		warmInShadow(t, l)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		synctest.Wait()
		ended, runs := acquire(t, l, tokens(100)), acquire(t, l, tokens(100))
		time.Sleep(15 * time.Second)
		ended.Settle(ratelimiter.Usage{TotalTokens: 50}) // which is to count when it would have ended
		time.Sleep(8 * time.Second)
		if got := l.ShadowReport().Total; got.Waited != 2 || settled.Load() != 2 {
			t.Fatalf("%d settled of %+v; want two of four, with two that have waited", settled.Load(), got)
		}
		ends = time.Now()
		if err := l.Shutdown(t.Context()); err != nil || settled.Load() != 3 {
			t.Errorf("%d have settled when it is shut down, want 3: %v", settled.Load(), err)
		}
		runs.Settle(ratelimiter.Usage{TotalTokens: 50}) // after the end, as any call in flight may
		if err := l.Shutdown(t.Context()); err != nil || settled.Load() != 4 {
			t.Errorf("%d have settled, want 4: %v", settled.Load(), err)
		}
		state, err := l.State(t.Context())
		if err != nil || state.Scopes[0].InFlight != 0 {
			t.Errorf("%+v, %v", state, err)
		}
		time.Sleep(time.Hour)
	})
}

// A report accounts for every call, and leaves out what there is none of.
func TestShadowReportString(t *testing.T) {
	for want, total := range map[string]ratelimiter.ShadowCounts{
		"1 call: 1 at once\n0 would have waited\n0 would have been rejected\n" +
			"0 throttled by the server, of which the limiter would have prevented 0": {Calls: 1, AtOnce: 1},
		"1 call: 0 at once\n1 would have waited for 2.5s\n0 would have been rejected\n" +
			"0 throttled by the server, of which the limiter would have prevented 0": {
			Calls: 1, Waited: 1, Wait: ratelimiter.ShadowWait{P50: 2 * time.Second, P90: 2 * time.Second, P99: 2 * time.Second, Max: 2500 * time.Millisecond},
		},
		"2 calls: 0 at once\n2 would have waited: half of them for 1s, one in ten for 2s, one in a hundred for 2s, the longest for 2s\n" +
			"0 would have been rejected\n0 throttled by the server, of which the limiter would have prevented 0": {
			Calls: 2, Waited: 2, Wait: ratelimiter.ShadowWait{P50: time.Second, P90: 2 * time.Second, P99: 2 * time.Second, Max: 2 * time.Second},
		},
		"2,010 calls: 1 at once\n0 would have waited\n4 would have been rejected: 1 deadline, 3 max_wait\n" +
			"2,000 not decided yet, 3 cancelled by their callers, 2 not followed\n" +
			"5 throttled by the server, of which the limiter would have prevented 4": {
			Calls: 2010, AtOnce: 1, Rejected: map[string]int64{"max_wait": 3, "deadline": 1},
			Undecided: 2000, Cancelled: 3, NotFollowed: 2, Throttled: 5, Avoided: 4,
		},
	} {
		if got := (ratelimiter.ShadowReport{Total: total}).String(); got != want {
			t.Errorf("%s\nfor\n%s", got, want)
		}
	}
}
