package redis_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// A Redis that stops and comes back, twice, below a limiter with a budget of its
// own for as long.
func TestFallbackBesideRedis(t *testing.T) {
	srv := redistest.Run(t)
	process := func(options ...ratelimiter.Option) *ratelimiter.Limiter {
		client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
		t.Cleanup(func() { client.Close() })
		l, err := ratelimiter.New(append(options, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(redis.New(client)),
			ratelimiter.WithShared("f", ratelimiter.Limits{RPM: 6000}, "m", "n"))...)
		if err != nil {
			t.Fatal(err)
		}
		warm(t, l, "m")
		warm(t, l, "n")
		return l
	}
	available := make(chan bool, 100)
	l := process(ratelimiter.WithFallback(ratelimiter.Limits{RPM: 60}), ratelimiter.WithTrace(&ratelimiter.Trace{
		Backend: func(err error) { available <- err == nil },
	}))
	other := process()
	turns := func(want bool) {
		t.Helper()
		if got := <-available; got != want {
			t.Fatalf("available: %v; want %v", got, want)
		}
	}
	cost := func(model string, n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: model, Requests: n} }
	restart := func() {
		t.Helper()
		if err := srv.Restart(); err != nil {
			t.Fatal(err)
		}
	}

	answer := make(chan bool)
	answered := make(chan bool)
	go func() {
		defer close(answered)
		post(t, l, "m", roundTripFunc(func(*http.Request) (*http.Response, error) {
			answer <- true
			answer <- true
			return throttled(), nil
		}))
	}()
	<-answer // it has been charged by Redis

	srv.Kill()
	acquire(t, l, cost("m", 60)).Settle(ratelimiter.Usage{}) // all that the fallback has
	turns(false)
	served := make(chan bool)
	go func() {
		defer close(served)
		acquire(t, l, cost("m", 60)).Settle(ratelimiter.Usage{})
	}()
	redistest.Eventually(t, "it stands in line", func() bool { return scopeOf(t, l, "m").Waiting > 0 })
	start := time.Now()
	restart()
	turns(true)
	<-served
	if waited := time.Since(start); waited > 30*time.Second {
		t.Errorf("waited %v for a Redis that was back; the fallback takes a minute", waited)
	}

	srv.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := l.Acquire(ctx, cost("n", 1))
	if err != nil {
		t.Fatalf("%v: it waited behind somebody who was served before", err)
	}
	r.Settle(ratelimiter.Usage{})
	turns(false)
	<-answer // with a throttle
	<-answered
	redistest.Eventually(t, "the model is paused here", func() bool { return scopeOf(t, l, "m").Paused > 0 })
	if d := scopeOf(t, l, "n").Paused; d > 0 {
		t.Errorf("another model is paused for %v", d)
	}
	restart()
	redistest.Eventually(t, "the pause is told to Redis", func() bool { return scopeOf(t, other, "m").Paused > 0 })
	turns(true)
	if d := scopeOf(t, l, "m").Paused; d == 0 {
		t.Error("what the server has throttled is not paused")
	}
	acquire(t, l, cost("n", 60)).Settle(ratelimiter.Usage{})
	for _, l := range []*ratelimiter.Limiter{l, other} {
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// scopeOf is how a model stands.
func scopeOf(t *testing.T, l *ratelimiter.Limiter, model string) ratelimiter.ScopeState {
	t.Helper()
	state, err := l.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range state.Scopes {
		if s.Model == model {
			return s
		}
	}
	t.Fatalf("no %s in %+v", model, state)
	return ratelimiter.ScopeState{}
}
