package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/ordertest"
)

// crowd has 32 processes ask for many models each, for 4 callers of each who never have
// enough, of one account's 500 calls a second. No model has a limit of its own. The callers are
// of tenants, and those of classes, or of neither. What is compared with the ideal order is how
// long the slowest hundredth of the calls waits: with calls in one queue for the whole fleet, in
// which equal tenants have their turns, and of which one starts whenever one of the fleet's does.
// Weights make the order of classes another question.
func (b *bench) crowd() {
	fmt.Println("| 32 processes × 4 callers, 500 a second | of the budget used | p99 of the wait | beyond the ideal order's | asks per admission | commands per ask | replicated per ask | Redis's time for it | Redis CPU | bar |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	b.crowdOf("50 models", 50, 0, nil, 400)
	b.crowdOf("20 models", 20, 0, nil, 0)
	b.crowdOf("20 models, 1,000 tenants", 20, 1000, []float64{1}, 0)
	b.crowdOf("20 models, 1,000 tenants of 3 classes", 20, 1000, []float64{100, 10, 1}, 0)
}

// crowdOf prints the row of a crowd whose callers are each of a random tenant, which are
// divided between classes of these weights. It may hold less than the bar of its waits, in ms.
func (b *bench) crowdOf(name string, models, tenants int, weights []float64, held float64) {
	const processes, callers, rate = 32, 4, 500
	prefix := redis.WithPrefix(fmt.Sprint("crowd", time.Now().UnixNano(), ":"))
	ctx, cancel := context.WithCancel(background)
	var granted, asks atomic.Int64
	var mu sync.Mutex
	var calls []ordertest.Call
	options := []ratelimiter.Option{
		ratelimiter.WithAccount("bench"), ratelimiter.WithWarnings(nil, 0), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 60 * rate, Burst: time.Second}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
			if i.Name == "take" {
				asks.Add(1)
			}
		}}),
	}
	if tenants > 0 {
		classes := map[string]ratelimiter.Class{}
		for i, w := range weights {
			classes[fmt.Sprint(i)] = ratelimiter.Class{Weight: w}
		}
		options = append(options, ratelimiter.WithClasses(classes))
	}
	var work sync.WaitGroup
	for range processes {
		client := goredis.NewClient(&goredis.Options{Addr: b.addr, PoolSize: 8, PoolTimeout: time.Minute})
		defer client.Close()
		l, err := ratelimiter.New(append(options, ratelimiter.WithBackend(redis.New(client, prefix, redis.WithTimeout(time.Minute))))...)
		must(err)
		defer func() { must(l.Shutdown(background)) }()
		for m := range models {
			for range callers {
				work.Go(func() {
					for {
						of, call := ctx, ordertest.Call{}
						if tenants > 0 {
							tenant := rand.IntN(tenants)
							call.Tenant = fmt.Sprint(tenant)
							of = ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, fmt.Sprint(tenant%len(weights))), call.Tenant)
						}
						call.Arrived = time.Now()
						r, err := l.Acquire(of, ratelimiter.Cost{Model: fmt.Sprint("model", m)})
						if err == nil {
							call.Started = time.Now()
							granted.Add(1)
						} else if ctx.Err() == nil {
							must(err)
						}
						mu.Lock()
						calls = append(calls, call)
						mu.Unlock()
						if err != nil {
							return
						}
						r.Settle(ratelimiter.Usage{})
					}
				})
			}
		}
	}
	time.Sleep(30 * time.Second) // the opening, in which all have come at once, and the first turns
	defer b.replica()()
	client := b.client()
	defer client.Close()
	must(client.ConfigResetStat(background).Err())
	start, before, asked, written, cpu := time.Now(), granted.Load(), asks.Load(), b.replicated(), b.cpu()
	time.Sleep(b.span)
	us, commands := scriptStats(client)
	passed, total := time.Since(start).Seconds(), float64(granted.Load()-before)
	asked, written, cpu = asks.Load()-asked, b.replicated()-written, b.cpu()-cpu
	cancel()
	work.Wait()
	used := 100 * total / (rate * passed)
	bars := []bar{atLeast(98, used, " %"), atMost(20, commands, "")}
	waited, beyond := "", ""
	if len(weights) < 2 {
		waits, ideals := ordertest.Waits(calls, start, start.Add(time.Duration(passed*float64(time.Second))))
		p99 := waits[len(waits)*99/100]
		more := (p99 - ideals[len(ideals)*99/100]).Milliseconds()
		waited, beyond = fmt.Sprint(p99.Round(time.Millisecond)), fmt.Sprint(more, " ms")
		wait := atMost(250, float64(more), " ms")
		if held > 0 {
			wait = wait.held(held)
		}
		bars = append(bars, wait)
	}
	fmt.Printf("| %s | %.1f %% | %s | %s | %.2f | %.1f | %.0f B | %.0f µs | %.0f %% | %s |\n", name, used, waited, beyond, float64(asked)/total, commands, written/float64(asked), us, 100*cpu/passed, b.bars(name, bars...))
}
