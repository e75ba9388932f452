package ratelimiter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

// A call of a tenant that was idle starts before all calls of the others of its class but for two
// of the largest at most, though many wait in several processes. On a store that is polled, it is
// asked for within a tenth of a second, and starts once what it needs has refilled.
func TestIdleTenantGoesFirst(t *testing.T) {
	for name, polled := range map[string]bool{"memory": false, "store": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testIdleTenantGoesFirst(t, polled) })
		})
	}
}

func testIdleTenantGoesFirst(t *testing.T, polled bool) {
	const processes, tenants, callers, tpm, largest = 3, 4, 8, 60_000, 500
	s := newStore()
	s.mute = polled
	var shared backend.Backend = s
	if !polled {
		shared = s.Backend
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var idle string                  // the tenant whose call is under way
	var asked time.Time              // when that was asked for first
	started := map[time.Time]int64{} // tokens of its class meanwhile
	if polled {
		s.before = func(ask backend.Ask) error {
			mu.Lock()
			defer mu.Unlock()
			for _, f := range ask.Flows {
				if f.Tenant == idle && asked.IsZero() {
					asked = time.Now()
				}
			}
			return nil
		}
	}
	r := rand.New(rand.NewPCG(seedtest.Seed(), 0))
	var work sync.WaitGroup
	var limiters []*ratelimiter.Limiter
	for range processes {
		l := newLimiter(t, ratelimiter.WithBackend(shared), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 3}}),
			ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: tpm, Burst: time.Second}))
		warm(t, l, "m")
		limiters = append(limiters, l)
		for tenant := range tenants {
			for range callers {
				work.Go(func() {
					class := []string{"", "chat"}[tenant%2]
					of := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, class), fmt.Sprint(tenant))
					for {
						mu.Lock()
						size := 100 + r.Int64N(largest-100)
						mu.Unlock()
						reservation, err := l.Acquire(of, tokens(size))
						if err != nil {
							return
						}
						mu.Lock()
						if class == "chat" {
							started[time.Now()] += size
						}
						mu.Unlock()
						reservation.Settle(ratelimiter.Usage{TotalTokens: size})
					}
				})
			}
		}
	}
	time.Sleep(30 * time.Second)
	for i := range 50 {
		mu.Lock()
		pause := time.Duration(1 + r.Int64N(2e9)) // at a time at which nobody else does anything
		l, size := limiters[r.IntN(processes)], 100+r.Int64N(largest-100)
		mu.Unlock()
		time.Sleep(pause)
		came := time.Now()
		mu.Lock()
		idle = fmt.Sprint("idle", i)
		clear(started)
		mu.Unlock()
		reservation, err := l.Acquire(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, "chat"), idle), tokens(size))
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		least := time.Duration(2*largest+size) * time.Minute / tpm
		switch waited := time.Since(came); {
		case polled && (asked.IsZero() || asked.Sub(came) > 100*time.Millisecond || waited > least+200*time.Millisecond):
			t.Errorf("it is asked for after %v and starts after %v, of %v that it needs", asked.Sub(came), waited, least)
		case !polled:
			delete(started, time.Now())
			before := int64(0)
			for _, tokens := range started {
				before += tokens
			}
			if before > 2*largest {
				t.Errorf("%d tokens of its class start in the %v before it does", before, waited)
			}
		}
		asked = time.Time{}
		mu.Unlock()
		reservation.Settle(ratelimiter.Usage{TotalTokens: size})
	}
	cancel()
	work.Wait()
	for _, l := range limiters {
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
