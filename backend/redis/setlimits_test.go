package redis_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// Two limiters of a fleet wait for a budget that is used up for a day. One is told of a higher
// limit, and the calls of both start. What both have used stays used.
func TestSetLimitsInAFleet(t *testing.T) {
	server, err := redistest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	prefix := "test:" + rand.Text() + ":"
	newMember := func() (l *ratelimiter.Limiter, waiting chan struct{}) {
		waiting = make(chan struct{}, 1)
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		t.Cleanup(func() { client.Close() })
		trace := &ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { waiting <- struct{}{} }}
		l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithTrace(trace), ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 100}),
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return l, waiting
	}
	told, toldWaits := newMember()
	other, otherWaits := newMember()
	warm(t, told, "m")
	call := ratelimiter.Cost{Model: "m", Tokens: 100}
	acquire(t, told, call).Settle(ratelimiter.Usage{})
	var wg, first sync.WaitGroup
	// The second stands behind the first.
	first.Go(func() { acquire(t, told, call).Settle(ratelimiter.Usage{}) })
	<-toldWaits
	wg.Go(func() { acquire(t, other, call).Settle(ratelimiter.Usage{}) })
	<-otherWaits
	if err := told.SetLimits(ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 1000})); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	wg.Wait()
	for l, source := range map[*ratelimiter.Limiter]string{told: "configured", other: "configured in another process"} {
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l := state.Scopes[0].Limits[0]; l.Limit != 1000 || l.Remaining < 700 || l.Remaining > 705 || l.Source != source {
			t.Errorf("%+v; want 700 of 1000, %s", l, source)
		}
	}
}

// Processes that have configured a limit differently use the higher one together, whether one was
// told of it while all were busy or began with it.
func TestDisagreementInAFleet(t *testing.T) {
	server, err := redistest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	limits := func(rpm int64) ratelimiter.Option {
		return ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm, Burst: time.Second})
	}
	const lower, higher, of = 24_000, 60_000, 3
	for name, begins := range map[string][of]int64{
		"told":                    {lower, lower, lower},
		"begun with":              {higher, lower, lower},
		"begun with, by the last": {lower, lower, higher},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := "test:" + rand.Text() + ":"
			var fleet [of]*ratelimiter.Limiter
			for i := range fleet {
				client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
				t.Cleanup(func() { client.Close() })
				l, err := ratelimiter.New(ratelimiter.WithAccount("a"), limits(begins[i]), ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := l.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
				fleet[i] = l
			}
			ended := make(chan struct{})
			var started [of]atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for i, l := range fleet {
				for range 8 {
					wg.Go(func() {
						for {
							r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"})
							if err != nil {
								return
							}
							r.Settle(ratelimiter.Usage{})
							started[i].Add(1)
							select {
							case ended <- struct{}{}:
							case <-ctx.Done():
								return
							}
						}
					})
				}
			}
			awaitCalls := func(n int) {
				for range n {
					<-ended
				}
			}
			awaitCalls(1000)
			if name == "told" {
				if err := fleet[0].SetLimits(limits(higher)); err != nil {
					t.Fatal(err)
				}
			}
			assumed := func(l *ratelimiter.Limiter) int64 {
				state, err := l.State(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return state.Scopes[0].Limits[0].Limit
			}
			for _, l := range fleet {
				for assumed(l) != higher {
					awaitCalls(100)
				}
			}
			var before [of]int64
			for i := range started {
				before[i] = started[i].Load()
			}
			const calls = 4000
			awaitCalls(calls)
			for i := range started {
				if n := started[i].Load() - before[i]; n < calls/(of+1) {
					t.Errorf("limiter %d started %d of %d calls", i, n, calls)
				}
			}
			cancel()
			wg.Wait()
		})
	}
}
