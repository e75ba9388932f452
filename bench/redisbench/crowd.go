package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// crowd has 32 processes ask for 50 models each, for 4 callers of each who never have
// enough, of one account's 500 calls a second. No model has a limit of its own.
func (b *bench) crowd() {
	const processes, models, callers, rate = 32, 50, 4, 500
	fmt.Println("| 32 processes × 50 models × 4 callers | of the budget used | asks per admission | fewest and most calls of a model | Redis CPU | bar |\n|---|--:|--:|--:|--:|---|")
	account := backend.Bucket{Owner: "account", Name: "rpm", Dimension: backend.Requests, Limit: 60 * rate, Period: time.Minute, Burst: time.Second}
	prefix := redis.WithPrefix(fmt.Sprint("crowd", time.Now().UnixNano(), ":"))
	ctx, cancel := context.WithCancel(background)
	var granted [models]atomic.Int64
	var asks atomic.Int64
	var work sync.WaitGroup
	for p := range processes {
		client := goredis.NewClient(&goredis.Options{Addr: b.addr, PoolSize: 8, PoolTimeout: time.Minute})
		defer client.Close()
		store := redis.New(client, prefix, redis.WithTimeout(time.Minute))
		for m := range models {
			work.Go(func() {
				model := fmt.Sprint("model", m)
				ask := backend.Ask{Account: "bench", Line: "account", Scope: model, Ticket: fmt.Sprint(p, "/", m), Buckets: []backend.Bucket{account}}
				costs := make([]backend.Amounts, callers)
				for i := range costs {
					costs[i] = backend.Amounts{1}
				}
				for ctx.Err() == nil {
					if len(ask.Costs) == 0 {
						ask.Costs = costs
					}
					ask.Number++
					a, err := store.Take(background, ask)
					must(err)
					asks.Add(1)
					granted[m].Add(int64(a.Granted))
					ask.Costs = ask.Costs[a.Granted:]
					select {
					case <-time.After(a.Hint):
					case <-ctx.Done():
					}
				}
			})
		}
	}
	time.Sleep(5 * time.Second) // the opening
	var before, n [models]int64
	for m := range granted {
		before[m] = granted[m].Load()
	}
	start, asked, cpu := time.Now(), asks.Load(), b.cpu()
	time.Sleep(b.span)
	passed := time.Since(start).Seconds()
	total, fewest, most := int64(0), int64(1<<62), int64(0)
	for m := range granted {
		n[m] = granted[m].Load() - before[m]
		total, fewest, most = total+n[m], min(fewest, n[m]), max(most, n[m])
	}
	asked, cpu = asks.Load()-asked, b.cpu()-cpu
	cancel()
	work.Wait()
	used := 100 * float64(total) / (rate * passed)
	fmt.Printf("| %d a second | %.1f %% | %.2f | %d, %d | %.0f %% | %s |\n", rate, used, float64(asked)/float64(total), fewest, most, 100*cpu/passed, b.bars(atLeast(98, used, " %")))
}
