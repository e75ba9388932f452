package ratelimiter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/ordertest"
)

// A throng is many models of many processes, whose callers never have enough, on one limit.
type throng struct {
	processes, models, callers int
	tenants                    int // each call is of one of them at random
	rate                       int // a second
	opening, time              time.Duration
}

// wait has the throng wait for its calls, and returns those of all the time, and when the opening
// was over, in which all came at once; how many commands there were since then, and calls.
func (c *throng) wait(t *testing.T) (calls []ordertest.Call, begin, end time.Time, asked, started int) {
	store := newBusyStore(250 * time.Microsecond)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	options := []ratelimiter.Option{
		ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 60 * int64(c.rate), Burst: time.Second}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(ratelimiter.CommandInfo) {
			mu.Lock()
			defer mu.Unlock()
			asked++
		}}),
	}
	var work sync.WaitGroup
	var limiters []*ratelimiter.Limiter
	for p := range c.processes {
		l, err := ratelimiter.New(options...)
		if err != nil {
			t.Fatal(err)
		}
		limiters = append(limiters, l)
		for i := range c.models * c.callers {
			r := rand.New(rand.NewPCG(uint64(p), uint64(i)))
			work.Go(func() {
				for {
					call := ordertest.Call{Arrived: time.Now()}
					of := ctx
					if c.tenants > 0 {
						call.Tenant = fmt.Sprint(r.IntN(c.tenants))
						of = ratelimiter.ContextWithTenant(ctx, call.Tenant)
					}
					reservation, err := l.Acquire(of, ratelimiter.Cost{Model: fmt.Sprint("m", i%c.models)})
					if err != nil && ctx.Err() == nil {
						t.Error(err)
					}
					if err == nil {
						call.Started = time.Now()
					}
					mu.Lock()
					calls = append(calls, call)
					mu.Unlock()
					if err != nil {
						return
					}
					time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
					reservation.Settle(ratelimiter.Usage{})
				}
			})
		}
	}
	time.Sleep(c.opening)
	mu.Lock()
	asked, started, begin = 0, -len(calls), time.Now()
	mu.Unlock()
	time.Sleep(c.time)
	mu.Lock()
	commands := asked
	started, end = started+len(calls), time.Now()
	mu.Unlock()
	cancel()
	work.Wait()
	for _, l := range limiters {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	store.commands <- nil // it ends
	return calls, begin, end, commands, started
}

// Hardly a call of a throng starts later than in one queue for all of it, also where the queue is
// the turns of its tenants. Next to nothing stays unused, and the store is asked little.
func TestThrong(t *testing.T) {
	for _, x := range []struct {
		name  string
		crowd throng
		late  time.Duration // the slowest hundredth, beyond the ideal order's
		off   time.Duration // nine calls in ten are no further off their time in that order
		asks  float64       // commands a call
	}{
		{"of models", throng{8, 20, 4, 0, 100, 30 * time.Second, 15 * time.Second}, 600 * time.Millisecond, 150 * time.Millisecond, 3},
		{"of tenants", throng{8, 20, 4, 30, 150, 30 * time.Second, 30 * time.Second}, 750 * time.Millisecond, time.Second, 3.5},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, begin, end, asked, started := x.crowd.wait(t)
				waits, ideals := ordertest.Waits(calls, begin, end)
				p99 := func(all []time.Duration) time.Duration { return all[len(all)*99/100] }
				var off []time.Duration
				for i, ideal := range ordertest.Ideal(calls) {
					if at := calls[i].Started; !at.Before(begin) && !at.After(end) && !ideal.IsZero() {
						off = append(off, at.Sub(ideal).Abs())
					}
				}
				slices.Sort(off)
				late, nine := p99(waits)-p99(ideals), off[len(off)*9/10]
				used, each := float64(started)/(float64(x.crowd.rate)*x.crowd.time.Seconds()), float64(asked)/float64(started)
				t.Logf("%.1f %% used, %.2f commands a call, one in a hundred waits %v longer than in order, nine in ten start within %v of that", 100*used, each, late, nine)
				if used < 0.98 || each > x.asks || late > x.late || nine > x.off {
					t.Errorf("%.1f %% used, %.2f commands a call, %v late, %v off", 100*used, each, late, nine)
				}
			})
		})
	}
}
