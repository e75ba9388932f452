package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestWithClassesFaults(t *testing.T) {
	for want, classes := range map[string]map[string]ratelimiter.Class{
		"a weight of -1 is not from":     {"a": {Weight: -1}},
		"a weight of NaN is not from":    {"a": {Weight: math.NaN()}},
		"a weight of 1e+12 is not from":  {"a": {Weight: 1e12}},
		"a weight of 0.0001 is not":      {"a": {Weight: 0.0001}},
		"its name has 10000 bytes":       {strings.Repeat("x", 10_000): {}},
		"MaxWait -1s is negative":        {"a": {MaxWait: -time.Second}},
		"65 classes":                     many(65),
		`class "": it has Limits`:        {"": {Limits: ratelimiter.Limits{Concurrent: 1}}}, // which would not hold
		`class "a": RPM is -1`:           {"a": {Limits: ratelimiter.Limits{RPM: -1}}},
		`class "b": RPM 10 is above RPD`: {"a": {Weight: -1}, "b": {Limits: ratelimiter.Limits{RPM: 10, RPD: 5}}},
	} {
		_, err := ratelimiter.New(ratelimiter.WithClasses(classes))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if _, err := ratelimiter.New(ratelimiter.WithClasses(map[string]ratelimiter.Class{"": {Weight: 3}, "a": {}})); err != nil {
		t.Error(err)
	}
}

func many(n int) map[string]ratelimiter.Class {
	classes := map[string]ratelimiter.Class{}
	for i := range n {
		classes[fmt.Sprint(i)] = ratelimiter.Class{}
	}
	return classes
}

// A crowd counts what starts, of calls that all want to.
type crowd struct {
	t       *testing.T
	limiter *ratelimiter.Limiter
	calls   sync.WaitGroup
	mu      sync.Mutex
	tokens  map[string]int64 // started, by name
	waited  map[string][]time.Duration
}

// call has one call of a name wait and be done.
func (c *crowd) call(ctx context.Context, name string, tokens int64) {
	c.callUsing(ctx, name, tokens, tokens)
}

// callUsing is call of one that uses less than it costs, after a second.
func (c *crowd) callUsing(ctx context.Context, name string, cost, tokens int64) {
	c.calls.Go(func() {
		came := time.Now()
		r, err := c.limiter.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: cost})
		if err != nil {
			return
		}
		if tokens < cost {
			time.Sleep(time.Second)
		}
		r.Settle(ratelimiter.Usage{TotalTokens: tokens})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tokens[name] += tokens
		c.waited[name] = append(c.waited[name], time.Since(came))
	})
}

func newCrowd(t *testing.T, options ...ratelimiter.Option) *crowd {
	options = append(options, ratelimiter.WithAccount("a"))
	l, err := ratelimiter.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return &crowd{t: t, limiter: l, tokens: map[string]int64{}, waited: map[string][]time.Duration{}}
}

// Classes share by weight, whatever the sizes of their calls.
func TestClassesShareByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000, Burst: 10 * time.Second}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {Weight: 3}, "b": {Weight: 1}}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for i := range 4000 {
			c.call(ratelimiter.ContextWithClass(ctx, "a"), "a", int64(50+i%7*100))
			c.call(ratelimiter.ContextWithClass(ctx, "b"), "b", int64(500+i%3*100))
		}
		started := func() (a, b int64) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.tokens["a"], c.tokens["b"]
		}
		time.Sleep(20 * time.Second) // the burst is for those who come first
		beforeA, beforeB := started()
		time.Sleep(5 * time.Minute)
		a, b := started()
		a, b = a-beforeA, b-beforeB
		if share := float64(a) / float64(a+b); math.Abs(share-0.75) > 0.01 {
			t.Errorf("%.3f of what has started is a's; want 0.75", share)
		}
		if all := a + b; all < 298_000 || all > 302_000 {
			t.Errorf("%d tokens have started in five minutes", all)
		}
		cancel()
		c.calls.Wait()
	})
}

// What calls have used counts for the shares, not what they were charged at first, also
// where that was many times as much, and where processes share the budget.
func TestUsageCountsForShares(t *testing.T) {
	const used, rest = 40, 200
	for _, estimate := range []int64{2 * used, 5 * used, 10 * used} {
		t.Run(fmt.Sprint(estimate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var crowds [4]*crowd
				for i := range crowds {
					c := newCrowd(t, ratelimiter.WithBackend(store), ratelimiter.WithWarnings(nil, 0),
						ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 240_000, Burst: 10 * time.Second}),
						ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {}}))
					for range 2500 {
						c.callUsing(ratelimiter.ContextWithClass(ctx, "a"), "a", estimate, used)
					}
					for range 500 {
						c.call(ratelimiter.ContextWithClass(ctx, "b"), "b", rest)
					}
					crowds[i] = c
				}
				spent := func() (a, b int64) {
					for _, c := range crowds {
						c.mu.Lock()
						a, b = a+c.tokens["a"], b+c.tokens["b"]
						c.mu.Unlock()
					}
					return a, b
				}
				time.Sleep(20 * time.Second)
				beforeA, beforeB := spent()
				time.Sleep(time.Minute)
				a, b := spent()
				a, b = a-beforeA, b-beforeB
				share := float64(a) / float64(a+b)
				if math.Abs(share-0.5) > 0.04 || a+b < 235_000 {
					t.Errorf("%.3f of the %d tokens used are a's; want half of 240,000", share, a+b)
				}
				cancel()
				for _, c := range crowds {
					c.calls.Wait()
				}
			})
		})
	}
}

// Where no tokens are limited, classes share requests, whatever the calls have used of tokens.
func TestSharesOfRequests(t *testing.T) {
	for _, used := range []int64{40, 100, 300} {
		t.Run(fmt.Sprint(used), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, Burst: time.Second}),
					ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {}}))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				for range 1000 {
					c.callUsing(ratelimiter.ContextWithClass(ctx, "a"), "a", 100, used)
					c.call(ratelimiter.ContextWithClass(ctx, "b"), "b", 1000)
				}
				time.Sleep(time.Minute)
				c.mu.Lock()
				a, b := len(c.waited["a"]), len(c.waited["b"])
				c.mu.Unlock()
				if share := float64(a) / float64(a+b); math.Abs(share-0.5) > 0.03 || a+b < 580 {
					t.Errorf("%.3f of the %d calls are a's; want half of 600", share, a+b)
				}
				cancel()
				c.calls.Wait()
			})
		})
	}
}

// A call of a class of much weight does not wait behind a batch, nor does one of a tenant
// that others flood; and what nobody else wants goes to whoever wants it.
func TestNobodyWaitsBehindABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600_000, Burst: time.Second}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 100}, "batch": {}}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for range 3000 {
			c.call(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, "batch"), "flood"), "flood", 2000)
		}
		time.Sleep(10 * time.Second)
		for i := range 60 {
			time.Sleep(time.Second)
			c.call(ratelimiter.ContextWithClass(ctx, "chat"), "chat", 500)
			if i%10 == 0 {
				c.call(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, "batch"), "small"), "small", 500)
			}
		}
		time.Sleep(5 * time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		// A large call may just be about to start: 2,000 tokens refill in 200 ms.
		for name, n := range map[string]int{"chat": 60, "small": 6} {
			if got := len(c.waited[name]); got != n {
				t.Errorf("%d of %d calls of %q have started", got, n, name)
			}
			for _, w := range c.waited[name] {
				if w > 450*time.Millisecond {
					t.Errorf("one of %q has waited %v", name, w)
				}
			}
		}
		all := c.tokens["flood"] + c.tokens["chat"] + c.tokens["small"]
		if want := int64(75 * 10_000); all < want-2000 {
			t.Errorf("%d tokens have started in 75 s; want %d", all, want)
		}
		cancel()
	})
}

// Names that nobody configured, and tenants of any length, count as stated.
func TestUnknownClassIsTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, Burst: time.Second}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"": {Weight: 2}, "b": {Weight: 1}}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range 1000 {
			c.call(ratelimiter.ContextWithClass(ctx, "no such class"), "unknown", 0)
			c.call(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, "b"), strings.Repeat("long", 2500)), "b", 0)
		}
		time.Sleep(time.Minute)
		c.mu.Lock()
		unknown, b := len(c.waited["unknown"]), len(c.waited["b"])
		c.mu.Unlock()
		if ratio := float64(unknown) / float64(b); math.Abs(ratio-2) > 0.1 {
			t.Errorf("%d and %d have started; want twice as many of the default class", unknown, b)
		}
		cancel()
	})
}

// A class's longest wait is that of its calls, unless the context says another.
func TestMaxWaitOfAClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1}), ratelimiter.WithMaxWait(time.Hour),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {MaxWait: 2 * time.Second}}))
		call := ratelimiter.Cost{Model: "m", Requests: 1}
		r, err := c.limiter.Acquire(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ratelimiter.Usage{})
		chat := ratelimiter.ContextWithClass(t.Context(), "chat")
		begun := time.Now()
		if _, err := c.limiter.Acquire(chat, call); err == nil || time.Since(begun) > 2*time.Second {
			t.Errorf("%v after %v; want a rejection within 2 s", err, time.Since(begun))
		}
		if _, err := c.limiter.Acquire(ratelimiter.ContextWithMaxWait(chat, time.Hour), call); err != nil {
			t.Error(err)
		}
	})
}

// Whose a call is stands in what its hooks get, in errors and in State.
func TestClassesAreVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		note := func(what, class, tenant string) { seen = append(seen, what+" "+class+" "+tenant) }
		trace := &ratelimiter.Trace{
			Waiting:  func(_ context.Context, i ratelimiter.WaitingInfo) { note("waits", i.Class, i.Tenant) },
			Started:  func(_ context.Context, i ratelimiter.StartedInfo) { note("starts", i.Class, i.Tenant) },
			Settled:  func(_ context.Context, i ratelimiter.SettledInfo) { note("settled", i.Class, i.Tenant) },
			Observed: func(_ context.Context, i ratelimiter.ObservedInfo) { note("observed", i.Class, i.Tenant) },
			Paused:   func(_ context.Context, i ratelimiter.PausedInfo) { note("paused", i.Class, i.Tenant) },
			NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) {
				note("does not start", i.Class, i.Tenant)
			},
		}
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1}), ratelimiter.WithTrace(trace),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {}}))
		ctx := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(t.Context(), "chat"), "acme")
		call := ratelimiter.Cost{Model: "m", Requests: 1}
		for range 2 {
			r, err := c.limiter.Acquire(ctx, call)
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		_, err := c.limiter.Acquire(ratelimiter.ContextWithMaxWait(ctx, 0), call)
		var e *ratelimiter.Error
		if !errors.As(err, &e) || e.Class != "chat" || e.Tenant != "acme" || !strings.Contains(err.Error(), "m, class chat:") {
			t.Errorf("%v", err)
		}
		srv := openaitest.New()
		client := c.limiter.Client(srv.Direct())
		for throttled := range 2 {
			srv.Inject(throttled, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: time.Second})
			resp, err := client.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("n", 5, false))))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		want := []string{"starts", "settled", "waits", "starts", "settled", "does not start",
			"starts", "observed", "settled", "starts", "observed", "paused", "settled"}
		if len(seen) != len(want) {
			t.Fatalf("%q", seen)
		}
		for i := range want {
			if seen[i] != want[i]+" chat acme" {
				t.Errorf("%q; want %s", seen[i], want[i])
			}
		}
		state, err := c.limiter.State(t.Context())
		if err != nil || len(state.Classes) != 1 || len(state.Tenants) != 1 || state.Tenants[0].Tenant != "acme" || state.Classes[0].Share != 1 {
			t.Errorf("%+v, %v", state, err)
		}
	})
}

// Delay is that of the call's own class, not of those who wait beside it.
func TestDelayOfAClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 100}, "batch": {}}))
		ctx, cancel := context.WithCancel(t.Context())
		batch := ratelimiter.ContextWithClass(ctx, "batch")
		for range 1000 {
			c.call(batch, "batch", 1000)
		}
		synctest.Wait()
		call := ratelimiter.Cost{Model: "m", Tokens: 1000}
		delay := func(ctx context.Context) time.Duration {
			d, err := c.limiter.Delay(ctx, call)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := delay(ratelimiter.ContextWithClass(ctx, "chat")); d > 10*time.Second {
			t.Errorf("a call that is next waits %v", d)
		}
		if d := delay(batch); d < 10*time.Minute {
			t.Errorf("one behind a thousand others waits %v", d)
		}
		cancel()
		c.calls.Wait()
	})
}

// A polled backend tells of nothing: one asks again ten times a second.
type polled struct{ backend.Backend }

func (p polled) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	answer, err := p.Backend.Take(ctx, ask)
	answer.Hint, answer.Changed = min(answer.Hint, 100*time.Millisecond), nil
	return answer, err
}

// Tenants that have left count no more: those who stay share all that there is.
func TestTenantsThatHaveLeft(t *testing.T) {
	for name, small := range map[string]int64{"small calls": 100, "equal calls": 2000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, ratelimiter.WithWarnings(nil, 0), ratelimiter.WithBackend(polled{memory.New()}),
					ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 240_000, Burst: 10 * time.Second}),
					ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {}}))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				tenant := func(class, name string) context.Context {
					return ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, class), name)
				}
				for range 300_000 / small {
					c.call(tenant("a", "stays"), "a", small)
				}
				for range 200 {
					c.call(tenant("b", "stays"), "b", 2000)
				}
				for i := range 40 {
					c.call(tenant("a", fmt.Sprint(i)), "left", small)
				}
				started := func(name string) int64 {
					c.mu.Lock()
					defer c.mu.Unlock()
					return c.tokens[name]
				}
				time.Sleep(time.Minute)
				if left := started("left"); left != 40*small {
					t.Fatalf("%d tokens of those who are to leave have started; want %d", left, 40*small)
				}
				beforeA, beforeB := started("a"), started("b")
				time.Sleep(time.Minute)
				a, b := started("a")-beforeA, started("b")-beforeB
				if share := float64(a) / float64(a+b); math.Abs(share-0.5) > 0.02 || a+b < 236_000 {
					t.Errorf("%.3f of %d tokens are a's; want half of 240,000", share, a+b)
				}
				cancel()
				c.calls.Wait()
			})
		})
	}
}
