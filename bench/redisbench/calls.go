package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// calls compares a Take that is granted at once with an EVALSHA whose script
// only returns its keys and arguments, and with redis_rate asked for requests
// and for tokens.
func (b *bench) calls() {
	fmt.Printf("| uncontended Take | callers | µs | of the throughput of an empty EVALSHA | beside redis_rate, RPM and TPM | bars |\n|---|--:|--:|--:|--:|---|\n")
	for _, shape := range []struct {
		what   string
		owners []string
		bar    map[int]float64 // of the throughput of an empty EVALSHA, by callers
	}{
		{"one scope, RPM and TPM", []string{"model:gpt-4o"}, map[int]float64{1: 0.85, 16: 0.75}},
		{"model, family and account, RPM and TPM each", []string{"model:gpt-4o", "family:4o", "account"}, map[int]float64{1: 0.55, 16: 0.55}},
	} {
		for _, callers := range []int{1, 16} {
			take, empty, rate := b.compare(shape.owners, callers)
			bars := []bar{atLeast(shape.bar[callers], empty/take, "")}
			if len(shape.owners) == 1 { // redis_rate is asked for one, too
				bars = append(bars, atLeast(1.5, rate/take, ""))
			}
			fmt.Printf("| %s | %d | %.1f | %.2f | %.2f | %s |\n", shape.what, callers, take, empty/take, rate/take, b.bars(fmt.Sprintf("%s, %d callers", shape.what, callers), bars...))
		}
	}
}

// compare returns the microseconds per call, in the fastest tenth of short turns:
// in others the machine was busy, or slow to wake up.
func (b *bench) compare(owners []string, callers int) (take, empty, rate float64) {
	const turn = 500 // calls
	client := b.client()
	defer client.Close()
	store := redis.New(client)
	var buckets []backend.Bucket
	for _, o := range owners {
		buckets = append(buckets,
			backend.Bucket{Owner: o, Name: "rpm", Dimension: backend.Requests, Limit: 1e12, Period: time.Minute},
			backend.Bucket{Owner: o, Name: "tpm", Dimension: backend.Tokens, Limit: 1e15, Period: time.Minute})
	}
	var number atomic.Uint64
	ask := func() backend.Ask {
		return backend.Ask{Account: "bench", Line: owners[len(owners)-1], Scope: owners[0], Ticket: "bench", Number: number.Add(1),
			Fresh: true, Buckets: buckets, Costs: []backend.Amounts{{1, 1000, 0}}}
	}
	seen := &recorder{Client: client}
	_, err := redis.New(seen).Take(background, ask())
	must(err)
	sha := client.ScriptLoad(background, "return {KEYS, ARGV}").Val()
	var keys []string
	for _, k := range seen.args[3:7] {
		keys = append(keys, k.(string))
	}
	args := seen.args[7:]
	limiter := redis_rate.NewLimiter(client)
	rpm, tpm := redis_rate.PerMinute(1e9), redis_rate.PerMinute(1e9)

	contestants := []func() error{
		func() error {
			a, err := store.Take(background, ask())
			if err == nil && a.Granted != 1 {
				err = fmt.Errorf("not granted: %+v", a)
			}
			return err
		},
		func() error { return client.EvalSha(background, sha, keys, args...).Err() },
		func() error {
			if _, err := limiter.Allow(background, "rpm", rpm); err != nil {
				return err
			}
			_, err := limiter.AllowN(background, "tpm", tpm, 1000)
			return err
		},
	}
	times := make([][]float64, len(contestants))
	for range b.rounds {
		for i, f := range contestants {
			times[i] = append(times[i], inTurns(f, callers, turn))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	tenth := b.rounds / 10
	return times[0][tenth], times[1][tenth], times[2][tenth]
}

// inTurns calls f n times from so many goroutines and returns the microseconds
// per call.
func inTurns(f func() error, callers, n int) float64 {
	start := time.Now()
	var work sync.WaitGroup
	for range callers {
		work.Go(func() {
			for range n / callers {
				must(f())
			}
		})
	}
	work.Wait()
	return float64(time.Since(start).Microseconds()) / float64(n)
}
