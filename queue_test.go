package ratelimiter_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
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

// Where only the backend knows that a call is too large, those that ask together
// with it are not refused.
func TestOnlyWhatIsTooLargeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		miser := newStore()
		miser.before = func(ask backend.Ask) error {
			for _, c := range ask.Costs {
				if c[backend.Tokens] > 20 {
					return backend.ErrTooLarge
				}
			}
			return nil
		}
		l := newLimiter(t, ratelimiter.WithBackend(miser), ratelimiter.WithAccount("a"),
			ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000, Burst: time.Second}))
		warm(t, l, "m")
		for range 50 {
			acquire(t, l, tokens(20)).Settle(ratelimiter.Usage{})
		}
		var work sync.WaitGroup
		for _, n := range []int64{5, 21, 6, 22, 23, 7} {
			work.Go(func() {
				r, err := l.Acquire(t.Context(), tokens(n))
				switch {
				case n <= 20 && err != nil:
					t.Errorf("%d tokens: %v", n, err)
				case n <= 20:
					r.Settle(ratelimiter.Usage{})
				case !errors.Is(err, ratelimiter.ErrTooLarge) || strings.Contains(err.Error(), "needs 0"):
					t.Errorf("%d tokens: %v; want ErrTooLarge", n, err)
				}
			})
			synctest.Wait()
		}
		work.Wait()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
