package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// throng is goroutines that admit and settle calls of one model as fast as they can.
type throng struct {
	callers, calls int
	idle           time.Duration // before they begin
}

var fullThrong = throng{callers: 64, calls: 20_000, idle: slowStart}

// rows measures it in count turns.
func (x throng) rows(count int) ([]row, error) {
	l := informed(ratelimiter.Limits{RPM: plenty, TPM: plenty})
	time.Sleep(x.idle)
	var rates []float64
	for range count {
		start := time.Now()
		if err := x.turn(l); err != nil {
			return nil, err
		}
		rates = append(rates, float64(x.callers*x.calls)/time.Since(start).Seconds())
	}
	rate := middle(rates)
	return []row{{what: "admissions of %d goroutines in a second", n: x.callers, figure: fmt.Sprintf("%.0f", rate), bar: atLeast(500_000, rate)}}, nil
}

func (x throng) turn(l *ratelimiter.Limiter) error {
	errs := make([]error, x.callers)
	var callers sync.WaitGroup
	for i := range errs {
		callers.Go(func() {
			for range x.calls {
				r, err := l.Acquire(context.Background(), ratelimiter.Cost{Model: model, Tokens: 100})
				if err != nil {
					errs[i] = err
					return
				}
				r.Settle(ratelimiter.Usage{TotalTokens: 80})
			}
		})
	}
	callers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
