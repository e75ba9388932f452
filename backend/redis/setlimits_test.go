package redis_test

import (
	"crypto/rand"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// Two limiters of a fleet wait for a budget that is used up for a day. Each that is told of a
// higher limit lets its calls start, and what both have used stays used.
func TestSetLimitsInAFleet(t *testing.T) {
	server, err := redistest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	prefix := "test:" + rand.Text() + ":"
	newMember := func() *ratelimiter.Limiter {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		t.Cleanup(func() { client.Close() })
		l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 100}),
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
		return l
	}
	told, other := newMember(), newMember()
	warm(t, told, "m")
	call := ratelimiter.Cost{Model: "m", Tokens: 100}
	acquire(t, told, call).Settle(ratelimiter.Usage{})
	var wg, first sync.WaitGroup
	// The second stands behind the first, and is told later.
	first.Go(func() { acquire(t, told, call).Settle(ratelimiter.Usage{}) })
	waits(t, told)
	wg.Go(func() { acquire(t, other, call).Settle(ratelimiter.Usage{}) })
	waits(t, other)
	raised := ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 1000})
	if err := told.SetLimits(raised); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	waits(t, other) // it keeps to its own limit
	if err := other.SetLimits(raised); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	state, err := told.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := state.Scopes[0].Limits[0]; l.Limit != 1000 || l.Remaining < 700 || l.Remaining > 705 {
		t.Errorf("%+v; want 700 of 1000", l)
	}
}

// waits returns when a call of the limiter waits.
func waits(t *testing.T, l *ratelimiter.Limiter) {
	t.Helper()
	for {
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Scopes) > 0 && state.Scopes[0].Waiting > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
