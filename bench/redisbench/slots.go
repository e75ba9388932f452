package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// slots shows what a limit on calls in flight costs: 32 processes make calls of some 100 ms,
// without one, with one that leaves room for all, and with one that does not.
func (b *bench) slots() {
	fmt.Println("| 32 × 8 callers, calls of 50 to 150 ms | calls a second | of the slots used | claims per call | claims a second of a process | Redis CPU per call, µs | bar |\n|---|--:|--:|--:|--:|--:|---|")
	for _, limit := range []int64{0, 1000, 100} {
		b.slotsOf(limit)
	}
}

func (b *bench) slotsOf(limit int64) {
	const processes, callers = 32, 8
	prefix := redis.WithPrefix(fmt.Sprint("slots", time.Now().UnixNano(), ":"))
	var claims, calls, used atomic.Int64
	ctx, cancel := context.WithCancel(background)
	var work sync.WaitGroup
	for range processes {
		client := b.client()
		defer client.Close()
		l, err := ratelimiter.New(ratelimiter.WithAccount("bench"), ratelimiter.WithWarnings(nil, 0),
			ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 6_000_000, Concurrent: limit}), ratelimiter.WithBackend(redis.New(client, prefix, redis.WithTimeout(time.Minute))),
			ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
				if i.Name == "lease" {
					claims.Add(1)
				}
			}}))
		must(err)
		defer func() { must(l.Shutdown(background)) }()
		must(post(background, l.Client(&server{capacity: 1e12, at: time.Now()}), 1))
		for range callers {
			work.Go(func() {
				for {
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o"})
					if ctx.Err() != nil {
						if err == nil {
							r.Settle(ratelimiter.Usage{})
						}
						return
					}
					must(err)
					took := 50*time.Millisecond + rand.N(100*time.Millisecond)
					time.Sleep(took)
					r.Settle(ratelimiter.Usage{})
					calls.Add(1)
					used.Add(int64(took))
				}
			})
		}
	}
	time.Sleep(5 * time.Second)
	start, n0, c0, u0, cpu := time.Now(), calls.Load(), claims.Load(), used.Load(), b.cpu()
	time.Sleep(b.span)
	passed, n, c, u := time.Since(start), float64(calls.Load()-n0), float64(claims.Load()-c0), float64(used.Load()-u0)
	cpu = b.cpu() - cpu
	cancel()
	work.Wait()
	name, share, bars := fmt.Sprint("at most ", limit, " in flight"), "", []bar{atMost(10, c/processes/passed.Seconds(), "")}
	switch {
	case limit == 0:
		name, bars = "no limit", nil
	case limit < processes*callers:
		part := 100 * u / float64(passed) / float64(limit)
		share, bars = fmt.Sprintf("%.1f %%", part), append(bars, atLeast(95, part, " %"))
	}
	fmt.Printf("| %s | %.0f | %s | %.2f | %.1f | %.1f | %s |\n", name, n/passed.Seconds(), share, c/n, c/processes/passed.Seconds(), 1e6*cpu/n, b.bars(name, bars...))
}
