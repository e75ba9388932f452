package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// usage has 8 × 125 callers on one scope over loopback, with budget for all: how many
// calls a second there are if each is settled to what it has used, beside calls of which
// nothing is settled, in turns of the same run; and what Redis works for one.
func (b *bench) usage() {
	const turns = 10 // of each kind: short, since other work on the machine comes and goes
	f := b.fleet(8, 0, ratelimiter.Limits{RPM: 1e9, TPM: 1e12})
	ctx, cancel := context.WithCancel(background) // that of a caller who may give up, but does not
	defer cancel()
	turn := func(used int64, span time.Duration) (calls, cpu, own float64) {
		end := time.Now().Add(span)
		var admitted atomic.Int64
		var work sync.WaitGroup
		before, mine := b.cpu(), cputime.Process()
		for _, l := range f.limiters {
			for range 125 {
				work.Go(func() {
					for time.Now().Before(end) {
						r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o", Tokens: 1000})
						must(err)
						admitted.Add(1)
						r.Settle(ratelimiter.Usage{TotalTokens: used})
					}
				})
			}
		}
		work.Wait()
		return float64(admitted.Load()), b.cpu() - before, (cputime.Process() - mine).Seconds()
	}
	turn(300, time.Second) // connections are made, and the slow start ends
	var calls, cpu, own, settles [2]float64
	for range turns {
		for i, used := range []int64{0, 300} {
			_, settled := f.trips()
			n, c, o := turn(used, b.span/turns/2)
			calls[i], cpu[i], own[i] = calls[i]+n, cpu[i]+c, own[i]+o
			_, after := f.trips()
			settles[i] += float64(after - settled)
		}
	}
	f.close()
	fmt.Println("| 8 × 125 callers, budget for all | calls a second | settling trips per call | Redis CPU per call, µs | that of the processes | bars |\n|---|--:|--:|--:|--:|---|")
	for i, what := range []string{"nothing to settle", "each settled to its usage"} {
		rate, us := calls[i]/(b.span/2).Seconds(), 1e6*cpu[i]/calls[i]
		bars := ""
		if i == 1 {
			bars = b.bars(what, atLeast(20_000, rate, ""), atLeast(0.8, calls[1]/calls[0], " of the calls without"), atMost(35, us, " µs"))
		}
		fmt.Printf("| %s | %.0f | %.2f | %.1f | %.1f | %s |\n", what, rate, settles[i]/calls[i], us, 1e6*own[i]/calls[i], bars)
	}
	take, settle := b.alone()
	fmt.Printf("\nwith usage %.2f × the calls without; one caller alone: %.1f µs in Redis's scripts to take, %.1f to settle\n",
		calls[1]/calls[0], take, settle)
}

// alone is how long Redis's script takes for an ask that is granted at once, and for a
// settlement that goes alone.
func (b *bench) alone() (take, settle float64) {
	const n = 3000
	client := b.client()
	defer client.Close()
	store := redis.New(client, redis.WithPrefix("alone:"))
	buckets := []backend.Bucket{
		{Owner: "model:gpt-4o", Name: "rpm", Dimension: backend.Requests, Limit: 1e9, Period: time.Minute},
		{Owner: "model:gpt-4o", Name: "tpm", Dimension: backend.Tokens, Limit: 1e12, Period: time.Minute},
	}
	var last backend.Answer
	asks := func() {
		for i := range uint64(n) {
			a, err := store.Take(background, backend.Ask{Account: "bench", Line: "model:gpt-4o", Scope: "model:gpt-4o", Ticket: "bench",
				Number: i + 1, Fresh: true, Buckets: buckets, Costs: []backend.Amounts{{1, 1000, 0}}})
			must(err)
			last = a
		}
	}
	settles := func() {
		for range n {
			must(store.Settle(background, backend.Settlement{Account: "bench", Line: "model:gpt-4o", Stamp: last.Stamp,
				Buckets: buckets, Refund: backend.Amounts{backend.Tokens: 700}}))
		}
	}
	asks() // Redis knows the script, and the bucket, now
	settles()
	return b.scriptTime(asks), b.scriptTime(settles)
}
