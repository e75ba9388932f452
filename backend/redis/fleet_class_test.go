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

// A fleet keeps a class to its ceiling, of two models with lines of their own, and uses all of
// it, while the calls of another class go on.
func TestFleetKeepsClassToItsLimits(t *testing.T) {
	const members, callers, rate, enough = 4, 3, 100, 400
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	wide := ratelimiter.Limits{RPM: 60_000, Burst: time.Second}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var batch, chat atomic.Int64
	full := make(chan struct{})
	var work sync.WaitGroup
	var limiters []*ratelimiter.Limiter
	for range members {
		client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
		t.Cleanup(func() { client.Close() })
		l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"), ratelimiter.WithLimits("m", wide), ratelimiter.WithLimits("n", wide),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {Limits: ratelimiter.Limits{RPM: 60 * rate, Burst: time.Second}}}),
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix), redis.WithTimeout(time.Minute))))
		if err != nil {
			t.Fatal(err)
		}
		limiters = append(limiters, l)
		warm(t, l, "m")
		warm(t, l, "n")
	}
	begun := time.Now()
	for _, l := range limiters {
		for _, model := range []string{"m", "n"} {
			for range callers {
				work.Go(func() {
					for {
						r, err := l.Acquire(ratelimiter.ContextWithClass(ctx, "batch"), ratelimiter.Cost{Model: model})
						if err != nil {
							if ctx.Err() == nil {
								t.Error(err)
							}
							return
						}
						r.Settle(ratelimiter.Usage{})
						if batch.Add(1) == enough {
							close(full)
						}
					}
				})
			}
			work.Go(func() {
				for ctx.Err() == nil {
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: model})
					if err != nil {
						continue
					}
					r.Settle(ratelimiter.Usage{})
					chat.Add(1)
					time.Sleep(5 * time.Millisecond) // what the caller does between two calls
				}
			})
		}
	}
	<-full
	most := rate + 1 + rate*time.Since(begun).Seconds() // the clock runs for longer than the fleet
	n := batch.Load()
	t.Logf("%d calls of the class in %v, %d others", n, time.Since(begun), chat.Load())
	stop()
	work.Wait()
	if float64(n) > most {
		t.Errorf("%d calls of the class have started; want at most %.0f", n, most)
	}
	if chat.Load() < enough/2 {
		t.Errorf("%d calls of the other class: it waits for the one that its ceiling holds back", chat.Load())
	}
	for _, l := range limiters {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
