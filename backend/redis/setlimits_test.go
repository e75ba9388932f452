package redis_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"

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
	// The second stands behind the first, and is told later.
	first.Go(func() { acquire(t, told, call).Settle(ratelimiter.Usage{}) })
	<-toldWaits
	wg.Go(func() { acquire(t, other, call).Settle(ratelimiter.Usage{}) })
	<-otherWaits
	raised := ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 1000})
	if err := told.SetLimits(raised); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	if state, err := other.State(t.Context()); err != nil || state.Scopes[0].Waiting != 1 {
		t.Errorf("%+v, %v; it keeps to its own limit", state, err)
	}
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
