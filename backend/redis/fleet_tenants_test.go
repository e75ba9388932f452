package redis_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// Ever new tenants come to a fleet, each with one call, while others wait in the account's line:
// what Redis keeps is bounded and expires.
func TestFleetOfEverNewTenants(t *testing.T) {
	const members, callers = 2, 16
	tenants := int64(ledger.Tenants + 3000)
	if testing.Short() {
		tenants = 2000
	}
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	ctx, stop := context.WithCancel(ratelimiter.ContextWithClass(t.Context(), "chat"))
	defer stop()
	var takes, came atomic.Int64
	var waiting, work sync.WaitGroup
	var limiters []*ratelimiter.Limiter
	for range members {
		client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
		t.Cleanup(func() { client.Close() })
		l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1_000_000_000}),
			ratelimiter.WithLimits("n", ratelimiter.Limits{RPD: 1}), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 10_000_000}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {}}), ratelimiter.WithWarnings(nil, 0),
			ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
				if i.Name == "take" {
					takes.Add(1)
				}
			}}),
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
		if err != nil {
			t.Fatal(err)
		}
		limiters = append(limiters, l)
		warm(t, l, "m")
		waits := make(chan struct{}, 2)
		of := ratelimiter.ContextWithTrace(ctx, &ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { waits <- struct{}{} }})
		for range 2 { // one of them may start, in one of the processes
			waiting.Go(func() { _, _ = l.Acquire(of, ratelimiter.Cost{Model: "n"}) })
		}
		<-waits
	}
	for _, l := range limiters {
		for range callers {
			work.Go(func() {
				for n := came.Add(1); n <= tenants; n = came.Add(1) {
					r, err := l.Acquire(ratelimiter.ContextWithTenant(ctx, fmt.Sprint("tenant", n)), ratelimiter.Cost{Model: "m", Tokens: 100})
					if err != nil {
						t.Error(err)
						return
					}
					r.Settle(ratelimiter.Usage{TotalTokens: 50})
				}
			})
		}
	}
	work.Wait()
	client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
	defer client.Close()
	var memory, records int64
	for _, key := range client.Keys(t.Context(), "*").Val() {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 {
			t.Errorf("%s expires in %v", key, ttl)
		}
		memory += client.MemoryUsage(t.Context(), key, 0).Val()
		if client.Type(t.Context(), key).Val() == "hash" {
			records = max(records, client.HLen(t.Context(), key).Val())
		}
	}
	t.Logf("%d records, %d KB and %.2f asks a call for %d tenants", records, memory>>10, float64(takes.Load())/float64(tenants), tenants)
	if records > ledger.Tenants+1000 || memory > 500*ledger.Tenants {
		t.Errorf("%d records and %d KB are kept of %d tenants", records, memory>>10, tenants)
	}
	stop()
	waiting.Wait()
	for _, l := range limiters {
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
