package redis_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// slow runs for two seconds.
const slow = `local function now() local t = redis.call('TIME') return t[1] + t[2] / 1e6 end
local from = now()
while now() < from + 2 do end`

// Somebody's script takes two seconds, twice as long as the timeout. Until Redis answers
// BUSY it does not answer at all, which is five seconds unless it is told otherwise.
// Nobody is rejected: neither those in line nor those who come meanwhile.
func TestSlowScript(t *testing.T) {
	for _, x := range []struct {
		name  string
		limit int // milliseconds until BUSY
		rpm   int64
	}{
		{"BUSY, a line", 5, 60 * 500},
		{"BUSY, budget for all", 5, 60 * 1e6},
		{"silence, a line", 5000, 60 * 500},
		{"silence, budget for all", 5000, 60 * 1e6},
	} {
		t.Run(x.name, func(t *testing.T) {
			srv := redistest.Run(t, "--lua-time-limit", fmt.Sprint(x.limit))
			ctx, stop := context.WithCancel(t.Context())
			var started atomic.Int64
			var work sync.WaitGroup
			for range 4 {
				client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
				l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithBackend(redis.New(client)),
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: x.rpm, Burst: 1e9}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { // what was sent for callers that have left is still under way
					if err := l.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					redistest.Eventually(t, "commands end", func() bool {
						s := client.PoolStats()
						return s.TotalConns == s.IdleConns
					})
					client.Close()
				})
				warm(t, l, "m")
				for range 16 {
					work.Go(func() {
						for {
							r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"})
							if ctx.Err() != nil {
								return
							} else if err != nil {
								t.Error(err)
								return
							}
							started.Add(1)
							r.Settle(ratelimiter.Usage{})
						}
					})
				}
			}
			until := func(n int64) {
				redistest.Eventually(t, "calls start", func() bool { return started.Load() >= n })
			}
			until(200)
			admin := goredis.NewClient(&goredis.Options{Addr: srv.Addr, ReadTimeout: -1})
			defer admin.Close()
			if err := admin.Eval(ctx, slow, nil).Err(); err != nil && err != goredis.Nil {
				t.Error(err)
			}
			until(started.Load() + 200)
			stop()
			work.Wait()
		})
	}
}
