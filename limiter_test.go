package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
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

func TestAcquireWaitsUntilItsCostHasRefilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		start := time.Now()
		acquire(t, l, tokens(100)).Settle(ratelimiter.Usage{})
		// 100 tokens at ten a second, beside the tenth of a second that is held back.
		if waited, want := time.Since(start), 10100*time.Millisecond; waited != want {
			t.Errorf("waited %v; want %v", waited, want)
		}
	})
}

func TestRefundsWakeTheLine(t *testing.T) {
	for name, end := range map[string]func(*ratelimiter.Reservation){
		"cancel": func(r *ratelimiter.Reservation) { r.Cancel() },
		"settle": func(r *ratelimiter.Reservation) { r.Settle(ratelimiter.Usage{InputTokens: 50, OutputTokens: 40}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t)
				r := acquire(t, l, tokens(590))
				time.AfterFunc(2*time.Second, func() { end(r) })
				start := time.Now()
				acquire(t, l, tokens(400)).Cancel()
				if waited := time.Since(start); waited != 2*time.Second {
					t.Errorf("waited %v; want 2s, when the refund came", waited)
				}
			})
		})
	}
}

func TestReservationEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		r := acquire(t, l, tokens(500))
		r.Settle(ratelimiter.Usage{TotalTokens: 300})
		r.Settle(ratelimiter.Usage{TotalTokens: 1})
		r.Cancel()
		if got := remaining(t, l, "m", "tpm"); got != 300 {
			t.Errorf("%d tokens remain; want 300", got)
		}
		if got := remaining(t, l, "m", "rpm"); got != 599 {
			t.Errorf("%d requests remain; want 599", got)
		}
	})
}

func TestUsageAboveTheEstimateIsDebited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(500)).Settle(ratelimiter.Usage{TotalTokens: 800})
		if got := remaining(t, l, "m", "tpm"); got != -200 {
			t.Errorf("%d tokens remain; want -200", got)
		}
	})
}

// Usage that makes no sense does not wrap around: of 600 tokens, 500 of which are charged, there
// is at most a debt of as many.
func TestAbsurdUsage(t *testing.T) {
	for name, test := range map[string]struct {
		input, output, total int64
		want                 int64
	}{
		"nothing is said":        {0, 0, 0, 100},
		"input and output":       {200, 100, 0, 300},
		"a total":                {200, 100, 250, 350},
		"the largest and one":    {math.MaxInt64, 1, 0, -600},
		"the largest, twice":     {math.MaxInt64, math.MaxInt64, 0, -600},
		"the smallest less one":  {math.MinInt64, -1, 0, 100},
		"the smallest, twice":    {math.MinInt64, math.MinInt64, 0, 100},
		"largest and smallest":   {math.MaxInt64, math.MinInt64, 0, 100},
		"a total of the largest": {0, 0, math.MaxInt64, -600},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t)
				acquire(t, l, tokens(500)).Settle(ratelimiter.Usage{InputTokens: test.input, OutputTokens: test.output, TotalTokens: test.total})
				if got := remaining(t, l, "m", "tpm"); got != test.want {
					t.Errorf("%d tokens remain; want %d", got, test.want)
				}
			})
		})
	}
}

func TestCallsStartInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			// A large call stands in the middle: those behind it don't overtake.
			n := int64(10)
			if i == 10 {
				n = 500
			}
			wg.Go(func() {
				r, err := l.Acquire(t.Context(), tokens(n))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				r.Settle(ratelimiter.Usage{})
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("started in the order %v", order)
		}
	})
}

func TestLeavingTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(595)).Settle(ratelimiter.Usage{})
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := l.Acquire(ctx, tokens(600))
			gone <- err
		}()
		synctest.Wait()
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		acquire(t, l, tokens(4)).Settle(ratelimiter.Usage{})
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v; want 1s, when the one ahead left", waited)
		}
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%v; want context.Canceled", err)
		}
		if got := remaining(t, l, "m", "tpm"); got != 11 {
			t.Errorf("%d tokens remain; want 11: who left was not charged", got)
		}
	})
}

func TestRejections(t *testing.T) {
	spent := func(t *testing.T, options ...ratelimiter.Option) *ratelimiter.Limiter {
		l := newWarm(t, options...)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		return l
	}
	tests := []struct {
		name    string
		options []ratelimiter.Option
		ctx     func(context.Context) (context.Context, context.CancelFunc)
		cost    int64
		want    error
		after   time.Duration
		message string
	}{
		{"too large", nil, nil, 601, ratelimiter.ErrTooLarge, 0,
			"m: needs 601 tokens, the limit is 600 per minute (configured): shorten the input or lower max_tokens"},
		{"deadline", nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, 100, ratelimiter.ErrDeadline, 0, "it would wait at least 10s for 100 tokens of 600 per minute, but has only 5s"},
		{"longest wait", []ratelimiter.Option{ratelimiter.WithMaxWait(3 * time.Second)}, nil, 100,
			ratelimiter.ErrMaxWait, 0, "but has only 3s"},
		{"longest wait in the context", nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ratelimiter.ContextWithMaxWait(ctx, 0), func() {}
		}, 1, ratelimiter.ErrMaxWait, 0, ""},
		{"context over option", []ratelimiter.Option{ratelimiter.WithMaxWait(0)}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ratelimiter.ContextWithMaxWait(ctx, -1), func() {}
		}, 100, nil, 10100 * time.Millisecond, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := spent(t, tt.options...)
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tt.ctx != nil {
					ctx, cancel = tt.ctx(ctx)
				}
				defer cancel()
				start := time.Now()
				r, err := l.Acquire(ctx, tokens(tt.cost))
				if !errors.Is(err, tt.want) {
					t.Fatalf("%v; want %v", err, tt.want)
				}
				if waited := time.Since(start); waited != tt.after {
					t.Errorf("after %v; want %v", waited, tt.after)
				}
				if err == nil {
					r.Cancel()
					return
				}
				var e *ratelimiter.Error
				if !errors.As(err, &e) || e.Model != "m" || e.Cost.Tokens != tt.cost {
					t.Errorf("%#v; want an Error with its figures", err)
				}
				if !strings.Contains(err.Error(), tt.message) {
					t.Errorf("%q; want %q in it", err, tt.message)
				}
				if errors.Is(err, context.DeadlineExceeded) != (tt.want == ratelimiter.ErrDeadline) {
					t.Errorf("errors.Is(%v, context.DeadlineExceeded) is wrong", err)
				}
				if got := remaining(t, l, "m", "tpm"); got != 0 {
					t.Errorf("%d tokens remain; want 0: nothing is charged", got)
				}
			})
		})
	}
}

// An error whose figures are alike does not read as if there were time enough.
func TestRejectionByAHair(t *testing.T) {
	err := &ratelimiter.Error{Reason: ratelimiter.ErrDeadline, Wait: 240_251 * time.Millisecond, Allowed: 239_970 * time.Millisecond}
	if want := "it would wait at least 4m0.251s, but has only 3m59.97s"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q; want %q in it", err, want)
	}
}

// A call that might have started in time waits for it, and its error still
// tells the reason when it did not.
func TestDeadlineThatPassesInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		r := acquire(t, l, tokens(600)) // may give everything back
		defer r.Cancel()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := l.Acquire(ctx, tokens(100))
		var e *ratelimiter.Error
		if !errors.As(err, &e) || !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("%v; want ErrDeadline in an Error", err)
		}
		if waited := time.Since(start); waited > 5*time.Second || waited < 4*time.Second {
			t.Errorf("refused after %v; want a little before 5s", waited)
		}
		if ctx.Err() != nil {
			t.Error("the context was done first; openai-go would lose the error")
		}
	})
}

func TestClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		old := acquire(t, l, tokens(600))
		time.AfterFunc(time.Second, func() {
			if err := l.Clear(context.Background(), " M "); err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v; want 1s, when the limiter was cleared", waited)
		}
		old.Cancel()
		if got := remaining(t, l, "m", "tpm"); got != 0 {
			t.Errorf("%d tokens remain; want 0: a charge from before gives nothing back", got)
		}
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		check := func(n int64, want time.Duration) {
			t.Helper()
			if got, err := l.Delay(t.Context(), tokens(n)); err != nil || got.Round(time.Millisecond) != want {
				t.Errorf("Delay(%d) = %v, %v; want %v", n, got, err, want)
			}
		}
		check(600, 0)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		check(100, 10100*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 20 { // more than a ticket carries
			wg.Go(func() { _, _ = l.Acquire(ctx, tokens(10)) })
		}
		synctest.Wait()
		check(100, 30100*time.Millisecond)
		cancel()
		wg.Wait()
		synctest.Wait()
		check(100, 10100*time.Millisecond)
		if _, err := l.Delay(t.Context(), tokens(601)); !errors.Is(err, ratelimiter.ErrTooLarge) {
			t.Errorf("%v; want ErrTooLarge", err)
		}
	})
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false))
		l := newWarm(t)
		client := l.Client(srv.Direct())
		err := l.Do(t.Context(), tokens(500), func(ctx context.Context) (ratelimiter.Usage, error) {
			// The request inside is charged by Do alone, and settled by the
			// Transport first.
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, chatURL, strings.NewReader(chatBody("m", 100, false)))
			if err != nil {
				return ratelimiter.Usage{}, err
			}
			resp, err := client.Do(req)
			if err != nil {
				return ratelimiter.Usage{}, err
			}
			defer resp.Body.Close()
			if got := remaining(t, l, "m", "rpm"); got != 599 {
				t.Errorf("%d requests remain; want 599", got)
			}
			return ratelimiter.Usage{TotalTokens: 200}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := remaining(t, l, "m", "rpm"); got != 599 {
			t.Errorf("%d requests remain; want 599", got)
		}
	})
}

func TestDoKeepsTheChargeOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		boom := errors.New("boom")
		if err := l.Do(t.Context(), tokens(100), func(context.Context) (ratelimiter.Usage, error) {
			return ratelimiter.Usage{}, boom
		}); err != boom {
			t.Errorf("%v; want the function's own error", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = l.Do(t.Context(), tokens(100), func(context.Context) (ratelimiter.Usage, error) { panic(boom) })
		}()
		if got := remaining(t, l, "m", "tpm"); got != 400 {
			t.Errorf("%d tokens remain; want 400", got)
		}
		state, _ := l.State(t.Context())
		if n := state.Scopes[0].InFlight; n != 0 {
			t.Errorf("%d in flight; want 0", n)
		}
	})
}

func TestSharedBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"),
			ratelimiter.WithShared("family", ratelimiter.Limits{TPM: 600}, "x", "x-2025-04-14"),
			ratelimiter.WithLimits("y", ratelimiter.Limits{TPM: 600}),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 3}))
		for _, m := range []string{"x", "x-2025-04-14", "y", "z"} {
			warm(t, l, m)
		}
		acquire(t, l, ratelimiter.Cost{Model: "x", Tokens: 400}).Settle(ratelimiter.Usage{})
		if got := remaining(t, l, "x-2025-04-14", "tpm"); got != 200 {
			t.Errorf("the other model of the family has %d; want 200", got)
		}
		acquire(t, l, ratelimiter.Cost{Model: "y", Tokens: 600}).Settle(ratelimiter.Usage{})
		acquire(t, l, ratelimiter.Cost{Model: "z"}).Settle(ratelimiter.Usage{})
		start := time.Now()
		acquire(t, l, ratelimiter.Cost{Model: "z"}).Settle(ratelimiter.Usage{})
		if waited := time.Since(start); waited < 19*time.Second {
			t.Errorf("waited %v for the account's fourth request of three a minute", waited)
		}
	})
}

func TestLimitersShareABackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one, two := newWarm(t, ratelimiter.WithBackend(b)), newWarm(t, ratelimiter.WithBackend(b))
		r := acquire(t, one, tokens(600))
		time.AfterFunc(time.Second, r.Cancel)
		start := time.Now()
		acquire(t, two, tokens(600)).Cancel()
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v; want 1s, when the other limiter gave back", waited)
		}
	})
}

func TestAccounts(t *testing.T) {
	l := newLimiter(t)
	srv := openaitest.New()
	c := l.Client(srv.Direct())
	names := map[string]bool{}
	send := func(url string, header ...string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(chatBody("m", 1, false)))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	send(chatURL, "Authorization", "Bearer sk-secret-one")
	state, err := l.State(t.Context()) // the only one seen
	if err != nil {
		t.Fatal(err)
	}
	names[state.Account] = true
	if strings.Contains(fmt.Sprintf("%+v", state), "secret") {
		t.Errorf("an API key stands in %+v", state)
	}
	send(chatURL, "Authorization", "Bearer sk-secret-two")
	if _, err := l.State(t.Context()); !errors.Is(err, ratelimiter.ErrNoAccount) {
		t.Errorf("%v; want ErrNoAccount among two", err)
	}
	send(chatURL, "Authorization", "Bearer sk-secret-one", "OpenAI-Project", "proj_1")
	send("http://other.test/v1/chat/completions", "Authorization", "Bearer sk-secret-one")
	send("http://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "Api-Key", "one")
	send("http://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "Authorization", "Bearer rotating")
	for _, name := range []string{"api.openai.test//proj_1", "r.openai.azure.com"} {
		state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), name))
		if err != nil || len(state.Scopes) != 1 {
			t.Errorf("account %q: %+v, %v; want one scope", name, state, err)
		}
	}
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		r := acquire(t, l, tokens(600))
		errs := make(chan error)
		for range 3 {
			go func() {
				_, err := l.Acquire(t.Context(), tokens(600))
				errs <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		if err := l.Shutdown(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("%v, after %v", err, time.Since(began))
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, ratelimiter.ErrShutdown) {
				t.Errorf("%v; want ErrShutdown", err)
			}
		}
		if _, err := l.Acquire(t.Context(), tokens(1)); !errors.Is(err, ratelimiter.ErrShutdown) {
			t.Errorf("%v; want ErrShutdown", err)
		}
		r.Cancel() // still settled
		if got := remaining(t, l, "m", "tpm"); got != 600 {
			t.Errorf("%d tokens remain; want 600", got)
		}
	})
}

func TestRetriesEnterNearTheFront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
		warm(t, l, "m")
		c := l.Client(srv.Direct())
		acquire(t, l, ratelimiter.Cost{Model: "m", Requests: 60}).Settle(ratelimiter.Usage{})
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		come := func(name, retry string) {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, chatURL, strings.NewReader(chatBody("m", 1, false)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Stainless-Retry-Count", retry)
				resp, err := c.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				resp.Body.Close()
			})
			synctest.Wait()
		}
		for i := range 4 {
			come(fmt.Sprint("fresh", i), "0")
		}
		come("retry0", "1")
		come("retry1", "2")
		wg.Wait()
		want := []string{"fresh0", "retry0", "fresh1", "retry1", "fresh2", "fresh3"}
		if !slices.Equal(order, want) {
			t.Errorf("started in the order %v; want %v", order, want)
		}
	})
}

// What has come back since the backend was last asked counts before a call is
// refused.
func TestRefundsCountBeforeARejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{TotalTokens: 10})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := l.Acquire(ratelimiter.ContextWithMaxWait(ctx, time.Second), tokens(500))
		if err != nil {
			t.Fatal(err)
		}
		r.Cancel()
	})
}

// A call that is refused while another's ask is under way leaves no ticket for
// which nobody stands.
func TestNoTicketIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newStore()
		slow.after = func(ask backend.Ask, _ backend.Answer) error {
			if wants(ask, 300) {
				time.Sleep(time.Second)
			}
			return nil
		}
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(slow),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 600}))
		warm(t, l, "m")
		warm(t, l, "o")
		go func() {
			r, err := l.Acquire(t.Context(), tokens(300))
			if err != nil {
				t.Error(err)
				return
			}
			r.Settle(ratelimiter.Usage{})
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := l.Acquire(ctx, tokens(590)); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("%v; want ErrDeadline", err)
		}
		time.Sleep(10 * time.Minute)
		// The ticket of 590 would stand in the way of this one.
		if d, err := l.Delay(t.Context(), ratelimiter.Cost{Model: "o", Tokens: 100}); err != nil || d > 0 {
			t.Errorf("a full bucket in which nobody waits has a delay of %v, %v", d, err)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReservationThatHasEndedPaysForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		r := acquire(t, l, tokens(100))
		r.Cancel()
		srv := openaitest.New(openaitest.WithHeaders(false))
		resp, err := l.Client(srv.Direct()).Do(newRequest(t, ratelimiter.ContextWithReservation(t.Context(), r), chatURL, strings.NewReader(chatBody("m", 10, false))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := remaining(t, l, "m", "rpm"); got != 599 {
			t.Errorf("%d requests remain; want 599", got)
		}
	})
}

func TestModelNamedTwiceIsChargedOnce(t *testing.T) {
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithShared("f", ratelimiter.Limits{TPM: 600}, "m", " M "))
	acquire(t, l, tokens(1)).Cancel()
	state, err := l.State(t.Context())
	if err != nil || len(state.Scopes) != 1 || len(state.Scopes[0].Limits) != 1 {
		t.Errorf("%+v, %v; want one limit", state, err)
	}
}

func TestQuestionsMakeNoAccount(t *testing.T) {
	l := newLimiter(t)
	post(t, l.Client(openaitest.New().Direct()), chatURL, chatBody("m", 1, false))
	typo := ratelimiter.ContextWithAccount(t.Context(), "typo")
	if state, err := l.State(typo); err != nil || len(state.Scopes) != 0 {
		t.Errorf("%+v, %v; want nothing known", state, err)
	}
	if _, err := l.Delay(typo, tokens(1)); err != nil {
		t.Error(err)
	}
	if err := l.Clear(typo, "m"); err != nil {
		t.Error(err)
	}
	acquire(t, l, tokens(1)).Cancel() // still the only account
}
