package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// crowd has 32 processes ask for many models each, for 4 callers of each who never have
// enough, of one account's 500 calls a second. No model has a limit of its own. The callers are
// of tenants, and those of classes, or of neither. What is compared with the ideal order is how
// long the slowest hundredth of the calls waits: with calls in one queue for the whole fleet, in
// which equal tenants have their turns. Weights make the order of classes another question.
func (b *bench) crowd() {
	fmt.Println("| 32 processes × 4 callers, 500 a second | of the budget used | p99 of the wait | beyond the ideal order's | asks per admission | commands per ask | replicated per ask | Redis's time for it | Redis CPU | bar |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	b.crowdOf("50 models", 50, 0, nil, 400)
	b.crowdOf("20 models", 20, 0, nil, 0)
	b.crowdOf("20 models, 1,000 tenants", 20, 1000, []float64{1}, 1200)
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
	var calls []crowdCall
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
						of, tenant := ctx, 0
						if tenants > 0 {
							tenant = rand.IntN(tenants)
							of = ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, fmt.Sprint(tenant%len(weights))), fmt.Sprint(tenant))
						}
						arrived := time.Now()
						r, err := l.Acquire(of, ratelimiter.Cost{Model: fmt.Sprint("model", m)})
						if err != nil {
							if ctx.Err() == nil {
								must(err)
							}
							return
						}
						granted.Add(1)
						mu.Lock()
						calls = append(calls, crowdCall{arrived, time.Now(), tenant})
						mu.Unlock()
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
		calls = slices.DeleteFunc(calls, func(c crowdCall) bool { return c.started.Before(start) || c.started.Sub(start).Seconds() > passed })
		actual, ideal := crowdWaits(calls, rate)
		more := (actual - ideal).Milliseconds()
		waited, beyond = fmt.Sprint(actual.Round(time.Millisecond)), fmt.Sprint(more, " ms")
		wait := atMost(250, float64(more), " ms")
		if held > 0 {
			wait = wait.held(held)
		}
		bars = append(bars, wait)
	}
	fmt.Printf("| %s | %.1f %% | %s | %s | %.2f | %.1f | %.0f B | %.0f µs | %.0f %% | %s |\n", name, used, waited, beyond, float64(asked)/total, commands, written/float64(asked), us, 100*cpu/passed, b.bars(name, bars...))
}

type crowdCall struct {
	arrived, started time.Time
	tenant           int
}

// crowdWaits returns the p99 of what the calls have waited, and of what they would have in one
// queue that is served at the rate from the first start on: in turns of the tenants, in each of
// which a tenant has one call, and in the order of arrival.
func crowdWaits(calls []crowdCall, rate float64) (actual, ideal time.Duration) {
	slices.SortFunc(calls, func(a, b crowdCall) int { return a.arrived.Compare(b.arrived) })
	first := slices.MinFunc(calls, func(a, b crowdCall) int { return a.started.Compare(b.started) }).started
	var waits, ideals []time.Duration
	for _, c := range calls {
		waits = append(waits, c.started.Sub(c.arrived))
	}
	type waiting struct{ turn, call int }
	var queue []waiting // in order
	finish, turn, next := map[int]int{}, 0, 0
	for at := first; len(ideals) < len(calls); at = at.Add(time.Duration(float64(time.Second) / rate)) {
		for ; next < len(calls) && !calls[next].arrived.After(at); next++ {
			w := waiting{max(turn, finish[calls[next].tenant]), next}
			finish[calls[next].tenant] = w.turn + 1
			i, _ := slices.BinarySearchFunc(queue, w, func(a, b waiting) int { return cmp.Or(a.turn-b.turn, a.call-b.call) })
			queue = slices.Insert(queue, i, w)
		}
		if len(queue) > 0 {
			turn = queue[0].turn
			ideals = append(ideals, at.Sub(calls[queue[0].call].arrived))
			queue = queue[1:]
		}
	}
	slices.Sort(waits)
	slices.Sort(ideals)
	return waits[len(waits)*99/100], ideals[len(ideals)*99/100]
}
