package ratelimiter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Many models of many processes, whose callers never have enough, share one limit. Hardly a call
// starts later than in one queue for all of them, next to nothing stays unused, and they ask the
// store little.
func TestCrowdOfModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const processes, models, callers, rate, seconds = 8, 20, 4, 100, 15
		store := newBusyStore(250 * time.Microsecond)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		asks := 0
		var calls [][2]time.Time // when each came, and when it started
		options := []ratelimiter.Option{
			ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 60 * rate, Burst: time.Second}),
			ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(ratelimiter.CommandInfo) {
				mu.Lock()
				defer mu.Unlock()
				asks++
			}}),
		}
		var work sync.WaitGroup
		var limiters []*ratelimiter.Limiter
		for p := range processes {
			l, err := ratelimiter.New(options...)
			if err != nil {
				t.Fatal(err)
			}
			limiters = append(limiters, l)
			for m := range models {
				for range callers {
					r := rand.New(rand.NewPCG(uint64(p), uint64(m)))
					work.Go(func() {
						for {
							came := time.Now()
							reservation, err := l.Acquire(ctx, ratelimiter.Cost{Model: fmt.Sprint("m", m)})
							if err != nil {
								if ctx.Err() == nil {
									t.Error(err)
								}
								return
							}
							mu.Lock()
							calls = append(calls, [2]time.Time{came, time.Now()})
							pause := time.Duration(r.IntN(2000)) * time.Microsecond
							mu.Unlock()
							time.Sleep(pause)
							reservation.Settle(ratelimiter.Usage{})
						}
					})
				}
			}
		}
		time.Sleep(30 * time.Second) // the calls that have come all at once have started
		mu.Lock()
		asks = 0
		begin := time.Now()
		mu.Unlock()
		time.Sleep(seconds * time.Second)
		mu.Lock()
		asked, end := asks, time.Now()
		mu.Unlock()
		cancel()
		work.Wait()

		calls = slices.DeleteFunc(calls, func(c [2]time.Time) bool { return c[1].Before(begin) || c[1].After(end) })
		slices.SortFunc(calls, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
		var late []time.Duration
		for i, c := range calls {
			turn := begin.Add(time.Duration(i) * time.Second / rate)
			late = append(late, c[1].Sub(turn))
		}
		slices.Sort(late)
		used, each, p99 := float64(len(calls))/(rate*seconds), float64(asked)/float64(len(calls)), late[len(late)*99/100]
		t.Logf("%.1f %% used, %.2f commands a call, one in a hundred starts %v later than in order", 100*used, each, p99)
		if used < 0.98 || p99 > 250*time.Millisecond || each > 3 {
			t.Errorf("%.1f %% used, %.2f commands a call, %v late", 100*used, each, p99)
		}
		for _, l := range limiters {
			if err := l.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
		store.commands <- nil // it ends
	})
}
