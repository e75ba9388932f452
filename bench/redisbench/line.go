package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// line shows what a long line costs: memory, and the time of an ask in it, and of
// one of another model's with which it shares nothing but the account's budget.
func (b *bench) line() {
	client := b.client()
	defer client.Close()
	fmt.Println("| processes in line | memory of the line | Redis's time for an ask at its end | for one of another model, granted at once | bar |\n|--:|--:|--:|--:|---|")
	account := backend.Bucket{Owner: "account", Name: "rpm", Dimension: backend.Requests, Limit: 1e9, Period: time.Hour}
	buckets := []backend.Bucket{
		{Owner: "model:gpt-4o", Name: "rpm", Dimension: backend.Requests, Limit: 60, Period: time.Hour},
		{Owner: "model:gpt-4o", Name: "tpm", Dimension: backend.Tokens, Limit: 60000, Period: time.Hour},
		account,
	}
	for _, n := range []int{10, 1000, 10_000} {
		store := redis.New(client, redis.WithPrefix(fmt.Sprint("line", n, ":")))
		ask := func(i int, number uint64, costs ...backend.Amounts) backend.Answer {
			a, err := store.Take(background, backend.Ask{Account: "bench", Line: "account", Scope: "model:gpt-4o",
				Ticket: fmt.Sprint("process", i), Number: number, Buckets: buckets, Costs: costs})
			must(err)
			return a
		}
		for k := range 4 { // takes all there is
			ask(-1, uint64(k+1), slices.Repeat([]backend.Amounts{{1, 1000, 0}}, 15)...)
		}
		// In a hurry, for those who do not ask for a second are stepped over.
		ask(0, 1, backend.Amounts{1, 1000, 0}, backend.Amounts{1, 1000, 0})
		var work sync.WaitGroup
		for j := range 16 {
			work.Go(func() {
				for i := 1 + j; i < n; i += 16 {
					ask(i, 1, backend.Amounts{1, 1000, 0}, backend.Amounts{1, 1000, 0})
				}
			})
		}
		work.Wait()
		atEnd := b.scriptTime(func() {
			for k := range 50 {
				ask(0, uint64(k+2), backend.Amounts{1, 1000, 0})
				ask(n-1, uint64(k+2), backend.Amounts{1, 1000, 0})
			}
		})
		other := b.scriptTime(func() {
			for range 5 {
				a, err := store.Take(background, backend.Ask{Account: "bench", Line: "account", Scope: "model:other", Ticket: "other",
					Fresh: true, Buckets: []backend.Bucket{account}, Costs: []backend.Amounts{{1}}})
				must(err)
				if a.Granted != 1 {
					must(fmt.Errorf("not granted: %+v", a))
				}
			}
		})
		used := 0.0
		for _, key := range client.Keys(background, fmt.Sprint("line", n, ":*")).Val() {
			used += float64(client.MemoryUsage(background, key, 0).Val())
		}
		bars := ""
		if n == 1000 {
			bars = b.bars("1,000 processes", atMost(300, used/1000, " KB").held(600))
		}
		fmt.Printf("| %d | %.0f KB | %.0f µs | %.0f µs | %s |\n", n, used/1000, atEnd, other, bars)
	}
}

// scriptTime is how many microseconds Redis spends on each script that f runs.
func (b *bench) scriptTime(f func()) float64 {
	client := b.client()
	defer client.Close()
	must(client.ConfigResetStat(background).Err())
	f()
	stats := client.Info(background, "commandstats").Val()
	_, stats, _ = strings.Cut(stats, "cmdstat_evalsha:")
	_, stats, _ = strings.Cut(stats, "usec_per_call=")
	us, _, _ := strings.Cut(stats, ",")
	x, err := strconv.ParseFloat(us, 64)
	must(err)
	return x
}

// info reads a number from Redis's INFO.
func (b *bench) info(section, name string) float64 {
	client := b.client()
	defer client.Close()
	for line := range strings.SplitSeq(client.Info(background, section).Val(), "\r\n") {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			x, err := strconv.ParseFloat(v, 64)
			must(err)
			return x
		}
	}
	return 0
}

// cpu is how many seconds Redis has worked.
func (b *bench) cpu() float64 {
	return b.info("cpu", "used_cpu_user") + b.info("cpu", "used_cpu_sys")
}
