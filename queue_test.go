package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A backend remembers what it has answered to a ticket, so that no number of one
// may come twice: not even if the process has forgotten the scope meanwhile.
func TestForgottenScopesGetNewTickets(t *testing.T) {
	const many = 1100 // more than are remembered
	for name, call := range map[string]func(i int) (account, model string){
		"models":   func(i int) (string, string) { return "a", fmt.Sprint("m", i) },
		"accounts": func(i int) (string, string) { return fmt.Sprint("a", i), "m" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newStore()
			l := newLimiter(t, ratelimiter.WithBackend(r))
			for i := range 2 * many {
				account, model := call(i % many)
				ctx := ratelimiter.ContextWithAccount(t.Context(), account)
				reservation, err := l.Acquire(ctx, ratelimiter.Cost{Model: model})
				if err != nil {
					t.Fatal(err)
				}
				reservation.Settle(ratelimiter.Usage{})
			}
			for ask, n := range r.asked() {
				if n > 1 {
					t.Fatalf("%+v came %d times", ask, n)
				}
			}
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// holeTimeout is how long an ask of a store takes to fail that has become a black hole.
const holeTimeout = time.Second

// While the store is a black hole, nobody waits for more than two of its timeouts
// until he is refused, whoever stands in line, and once that is known for one.
func TestNobodyHangsInABlackHole(t *testing.T) {
	const look = 100 * time.Millisecond // those in line ask again after so long at most
	for _, tt := range []struct {
		name      string
		calls     int
		spent     bool // the bucket is empty, so that they stand in line
		known     bool // the store has failed before
		unwilling bool // to wait
		apart     time.Duration
		longest   time.Duration
		asks      int64
	}{
		{name: "one call", calls: 1, longest: 2 * holeTimeout, asks: 2},
		{name: "at once", calls: 64, longest: 2 * holeTimeout, asks: 65},
		{name: "in line", calls: 64, spent: true, longest: 2*holeTimeout + look, asks: 2},
		{name: "one after another", calls: 64, apart: 100 * time.Millisecond, longest: 2 * holeTimeout, asks: 25},
		{name: "one call later", calls: 1, known: true, longest: holeTimeout, asks: 1},
		{name: "many later", calls: 64, known: true, longest: holeTimeout, asks: 2},
		{name: "one after another later", calls: 64, known: true, apart: 100 * time.Millisecond, longest: holeTimeout, asks: 20},
		{name: "later, without a wait", calls: 64, known: true, unwilling: true, longest: holeTimeout, asks: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newStore()
				h.mute, h.timeout = true, holeTimeout
				l := newWarm(t, ratelimiter.WithBackend(h))
				ctx := t.Context()
				if tt.unwilling {
					ctx = ratelimiter.ContextWithMaxWait(ctx, 0)
				}
				if tt.spent {
					acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				} else {
					h.down.Store(true)
				}
				if tt.known {
					if _, err := l.Acquire(t.Context(), tokens(1)); !errors.Is(err, errAway) {
						t.Fatal(err)
					}
					time.Sleep(holeTimeout) // the ticket leaves
				}
				synctest.Wait()
				before := h.lost.Load()
				var work sync.WaitGroup
				for range tt.calls {
					work.Go(func() {
						came := time.Now()
						_, err := l.Acquire(ctx, tokens(600))
						if !errors.Is(err, ratelimiter.ErrBackend) || !errors.Is(err, errAway) {
							t.Errorf("%v; want ErrBackend with its cause", err)
						}
						if waited := time.Since(came); waited > tt.longest {
							t.Errorf("refused after %v; want at most %v", waited, tt.longest)
						}
					})
					time.Sleep(tt.apart)
				}
				synctest.Wait()
				h.down.Store(true)
				work.Wait()
				if asks := h.lost.Load() - before; asks > tt.asks {
					t.Errorf("%d asks for %d calls; want at most %d", asks, tt.calls, tt.asks)
				}
				time.Sleep(holeTimeout) // the ticket leaves
				h.down.Store(false)
				start := time.Now()
				acquire(t, l, tokens(1)).Cancel()
				if waited := time.Since(start); !tt.spent && waited > 0 {
					t.Errorf("waited %v for a store that is back", waited)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Very many callers may wait: each keeps no more memory than that of its place in the queue,
// not that of a call which has started, nor a timer for a warning.
func TestMemoryOfWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		const callers, most = 2_000, 1_000
		join := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		for range callers {
			go func() {
				<-join
				_, _ = l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 600})
			}()
		}
		synctest.Wait()
		before := heapNow()
		close(join)
		synctest.Wait()
		each := (heapNow() - before) / callers
		t.Logf("%d bytes each", each)
		if waiting, _ := inLine(t, l, "m"); waiting != callers {
			t.Fatalf("%d wait", waiting)
		}
		if each > most && !raceEnabled {
			t.Errorf("each keeps %d bytes of heap; want at most %d", each, most)
		}
		leave()
	})
}

// A call that is rejected because its ask has told that others have spent the budget
// leaves no ticket in line, for which they would wait.
func TestRejectionAfterAnAskLeavesNoTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		one, two := newWarm(t, ratelimiter.WithBackend(s)), newWarm(t, ratelimiter.WithBackend(s))
		requests := func(n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: "m", Requests: n} }
		acquire(t, one, requests(1)).Cancel() // it now knows of a full bucket
		synctest.Wait()
		acquire(t, two, requests(600)).Settle(ratelimiter.Usage{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := one.Acquire(ctx, requests(100)); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("%v; want ErrDeadline", err)
		}
		synctest.Wait()
		time.Sleep(5 * time.Second) // 50 have refilled
		start := time.Now()
		acquire(t, two, requests(40)).Settle(ratelimiter.Usage{})
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %v behind somebody who has gone", waited)
		}
		for _, l := range []*ratelimiter.Limiter{one, two} {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// Guesses of those in line are cut to a limit that turns out to be lower. Once they have
// started nobody wants any more what was cut off: who comes later is not rejected for it.
func TestWhatACutGuessWantedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const output, calls = 5_000, 5
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000}))
		warm(t, l, "m")
		used := func(n int) io.ReadCloser {
			return io.NopCloser(strings.NewReader(fmt.Sprintf(`{"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}}`, n, 12+n)))
		}
		// Calls that declare no maximum need this much, which is known after a few.
		undeclared := strings.Replace(chatBody("m", 0, false), `"max_tokens":0,`, "", 1)
		plain := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(http.StatusOK, "application/json", used(output)), nil
		}))
		for range 20 {
			post(t, plain, chatURL, undeclared)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Minute)
		// Small ones are on their way, and will tell a lower limit.
		lower := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			resp := response(http.StatusOK, "application/json", used(1))
			resp.Header[limitHeader+"Tokens"] = []string{"1000"}
			resp.Header[leftHeader+"Tokens"] = []string{"500"}
			resp.Header[resetHeader+"Tokens"] = []string{"30s"}
			return resp, nil
		}))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { post(t, lower, chatURL, chatBody("m", 1, false)) })
		}
		synctest.Wait()
		r := acquire(t, l, tokens(59_000)) // the rest, so that the next must wait
		r.Settle(ratelimiter.Usage{TotalTokens: 59_000})
		for range calls {
			wg.Go(func() { post(t, plain, chatURL, undeclared) })
		}
		synctest.Wait()
		if n := scopeOf(t, l, "m").Waiting; n != calls {
			t.Fatalf("%d wait", n)
		}
		wg.Wait()
		if got := limitsOf(t, l, "m")["tpm"].Limit; got != 1000 {
			t.Fatalf("the limit is %d", got)
		}
		time.Sleep(time.Hour)
		acquire(t, l, tokens(900)).Settle(ratelimiter.Usage{TotalTokens: 900})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.Acquire(ctx, tokens(500)); err != nil { // half a minute's worth
			t.Error(err)
		}
	})
}
