package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// usage has 8 × 125 callers on one scope over loopback, with budget for all: how many
// calls a second there are if each is settled to what it has used, beside calls of which
// nothing is settled, in turns of the same run; and what Redis works for one.
func (b *bench) usage() {
	const turns = 5 // of each kind
	f := b.fleet(8, 0, ratelimiter.Limits{RPM: 1e9, TPM: 1e12})
	turn := func(used int64, span time.Duration) (calls, cpu, own float64) {
		ctx, cancel := context.WithTimeout(background, span)
		defer cancel()
		var admitted atomic.Int64
		before, mine := b.cpu(), cputime.Process()
		f.acquire(ctx, 125, 1000, used, func(_ int, _, _ time.Time) { admitted.Add(1) })
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
			bars = b.bars(atLeast(20_000, rate, ""), atLeast(0.8, calls[1]/calls[0], " of the calls without"), atMost(35, us, " µs"))
		}
		fmt.Printf("| %s | %.0f | %.2f | %.1f | %.1f | %s |\n", what, rate, settles[i]/calls[i], us, 1e6*own[i]/calls[i], bars)
	}
	fmt.Printf("\nwith usage %.2f × the calls without\n", calls[1]/calls[0])
}
