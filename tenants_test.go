package ratelimiter_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A million tenants in an hour, each with one call: whether there is budget for all, or somebody
// always waits, so that the line knows tenants. What is kept of them is bounded, and State counts
// them all, in their class. Where somebody waits, only a quarter of the hour is played.
func TestMillionTenants(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n /= 20
	}
	for name, waits := range map[string]bool{"budget for all": false, "somebody waits": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testMillionTenants(t, n, waits) })
		})
	}
}

func testMillionTenants(t *testing.T, n int, waits bool) {
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 100_000_000}), ratelimiter.WithLimits("n", ratelimiter.Limits{RPM: 600}),
		ratelimiter.WithAccountLimits(ratelimiter.Limits{RPD: 100_000_000}),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {}}))
	warm(t, l, "m")
	ctx, cancel := context.WithCancel(ratelimiter.ContextWithClass(t.Context(), "chat"))
	var work sync.WaitGroup
	if waits { // for a model of its own in the account's line
		for range 20 {
			work.Go(func() {
				for ctx.Err() == nil {
					if r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "n"}); err == nil {
						r.Settle(ratelimiter.Usage{})
					}
				}
			})
		}
	}
	before, hour := int64(0), n
	if waits {
		n /= 4
	}
	for i := range n {
		if i == n/10 {
			before = heapNow()
		}
		r, err := l.Acquire(ratelimiter.ContextWithTenant(ctx, fmt.Sprint("tenant", i)), tokens(100))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour / time.Duration(hour))
		r.Settle(ratelimiter.Usage{TotalTokens: 50})
	}
	if grown := heapNow() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d KB", grown>>10)
	}
	state := stateOf(t, l)
	if len(state.Classes) != 1 || len(state.Tenants) > 10 {
		t.Errorf("%d classes and %d tenants are shown", len(state.Classes), len(state.Tenants))
	}
	// As many as came within the last minute, or a little less, at the 50 tokens that each used.
	if c := state.Classes[0].Charged; c > int64(hour)/60*50*11/10 || c < int64(hour)/60*50*8/10 {
		t.Errorf("%d tokens were charged to the class within a minute; %d tenants came", c, hour/60)
	}
	cancel()
	work.Wait()
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Shares are shown as they are made: by what calls have used. Of two tenants whose calls always
// wait, each call charged 1,000 tokens, one uses all of them and the other 200.
func TestSharesShowWhatCallsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600_000}))
		warm(t, l, "m")
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for tenant, used := range map[string]int64{"all": 1000, "little": 200} {
			for range 10 {
				work.Go(func() {
					for ctx.Err() == nil {
						r, err := l.Acquire(ratelimiter.ContextWithTenant(ctx, tenant), tokens(1000))
						if err != nil {
							continue
						}
						time.Sleep(100 * time.Millisecond)
						r.Settle(ratelimiter.Usage{TotalTokens: used})
					}
				})
			}
		}
		time.Sleep(3 * time.Minute)
		tenants := stateOf(t, l).Tenants
		if len(tenants) != 2 || min(tenants[0].Share, tenants[1].Share) < 0.47 {
			t.Errorf("%+v; want two equal shares", tenants)
		}
		// The minute's 600,000 tokens, or what of them started in the last 50 seconds.
		if f := fleetOf(t, l); f.Charged < 480_000 || f.Charged > 620_000 {
			t.Errorf("%d tokens were charged within a minute", f.Charged)
		}
		cancel()
		work.Wait()
		time.Sleep(time.Minute)
		before := fleetOf(t, l).Charged
		acquire(t, l, tokens(1000)).Cancel()
		if f := fleetOf(t, l); f.Charged != before {
			t.Errorf("%d tokens are charged, and %d before a call that was cancelled", f.Charged, before)
		}
	})
}

// Waiting costs a process about ten asks a second, however many tenants wait in it, and at most
// twenty more while calls come: also where each of them has a call that waits.
func TestAsksOfManyTenants(t *testing.T) {
	for name, come := range map[string]bool{"nobody comes": false, "calls come": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const tenants, rate, seconds = 1000, 40, 30
				s := newBusyStore(200 * time.Microsecond)
				var takes atomic.Int64
				l := newLimiter(t, ratelimiter.WithBackend(s), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
					ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
						if i.Name == "take" {
							takes.Add(1)
						}
					}}),
					ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60 * rate * 100, Burst: time.Second}),
					ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {}, "c": {}}))
				warm(t, l, "m")
				ctx, cancel := context.WithCancel(t.Context())
				var work sync.WaitGroup
				call := func(tenant int) {
					work.Go(func() {
						of := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, string(rune('a'+tenant%3))), fmt.Sprint(tenant))
						if r, err := l.Acquire(of, tokens(50+int64(tenant*37%101))); err == nil {
							r.Settle(ratelimiter.Usage{})
						}
					})
				}
				for i := range 3 * tenants {
					call(i % tenants)
				}
				time.Sleep(30 * time.Second) // each has had one, so that a new one comes first
				before := takes.Load()
				most := 12.0
				if come {
					most += 20
				}
				for i := range seconds * 30 {
					if come {
						call(tenants + i)
					}
					time.Sleep(time.Second / 30)
				}
				asks := float64(takes.Load()-before) / seconds
				t.Logf("%.1f asks a second", asks)
				if asks > most {
					t.Errorf("%.1f asks a second; want %v at most", asks, most)
				}
				cancel()
				work.Wait()
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				s.commands <- nil // it ends
			})
		})
	}
}
