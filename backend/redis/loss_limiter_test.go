package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A day's budget of which 600 of 1,000 calls are used, and a Redis that loses it. A new
// process asks first. What the old one has seen holds for both with its first question.
func TestNewProcessAfterALoss(t *testing.T) {
	srv := redistest.Run(t)
	client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
	t.Cleanup(func() { client.Close() })
	process := func() *ratelimiter.Limiter {
		l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 1000}),
			ratelimiter.WithBackend(redis.New(client)))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	calls := func(n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: "m", Requests: n} }
	waits := func(l *ratelimiter.Limiter, n int64) bool {
		t.Helper()
		d, err := l.Delay(t.Context(), calls(n))
		if err != nil {
			t.Fatal(err)
		}
		return d > 0
	}
	old := process()
	warm(t, old, "m")
	acquire(t, old, calls(600))
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	fresh := process()
	post(t, fresh, "m", openaitest.New(openaitest.WithHeaders(false)).Direct()) // ends its slow start
	acquire(t, fresh, calls(99))
	if !waits(old, 310) || waits(old, 290) || !waits(fresh, 310) || waits(fresh, 290) {
		t.Error("want 300 calls left for both")
	}
}
