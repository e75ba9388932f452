package ratelimiter_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Where asking is a trip, calls that end don't make those in line ask: they look
// again when the backend has said, and get all that was given back.
func TestCallsThatEndCostNoTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStore()
		r.mute = true
		l := newWarm(t, ratelimiter.WithBackend(r))
		var flying []*ratelimiter.Reservation
		for range 60 {
			flying = append(flying, acquire(t, l, tokens(10)))
		}
		var started atomic.Int64
		for range 20 {
			go func() {
				acquire(t, l, tokens(10)).Settle(ratelimiter.Usage{})
				started.Add(1)
			}()
		}
		synctest.Wait()
		before := r.takes.Load()
		for _, f := range flying {
			f.Settle(ratelimiter.Usage{TotalTokens: 1})
			synctest.Wait()
		}
		if n := r.takes.Load() - before; n > 0 {
			t.Errorf("%d trips for calls that have ended", n)
		}
		time.Sleep(time.Second) // 10 have refilled, and 540 were given back
		if n := started.Load(); n != 20 {
			t.Errorf("%d of 20 started", n)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Two processes want far more than there is. Neither takes more at a time than
// what refills in a tenth of a second, so that a third does not wait long for its
// first call.
func TestTurns(t *testing.T) {
	const rate = 10 // calls a second
	synctest.Test(t, func(t *testing.T) {
		remote := newStore()
		remote.mute = true
		limits := ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60 * rate, TPM: 1e9, Burst: time.Second})
		var process []*ratelimiter.Limiter
		for range 3 {
			l := newLimiter(t, ratelimiter.WithAccount("a"), limits, ratelimiter.WithBackend(remote))
			warm(t, l, "m")
			process = append(process, l)
		}
		ctx, stop := context.WithCancel(t.Context())
		var started [2]atomic.Int64
		var work sync.WaitGroup
		for i := range started {
			for range 10 * rate {
				work.Go(func() {
					for ctx.Err() == nil {
						r, err := process[i].Acquire(ctx, ratelimiter.Cost{Model: "m"})
						if err != nil {
							return
						}
						started[i].Add(1)
						r.Settle(ratelimiter.Usage{})
					}
				})
			}
		}
		time.Sleep(10 * time.Second) // what the bucket held is used up
		one, two := started[0].Load(), started[1].Load()
		time.Sleep(20 * time.Second)
		one, two = started[0].Load()-one, started[1].Load()-two
		if n := one + two; n < 20*rate-10 || n > 20*rate+10 || one < two-10 || two < one-10 {
			t.Errorf("%d and %d of %d calls started", one, two, 20*rate)
		}
		begin := time.Now()
		acquire(t, process[2], ratelimiter.Cost{Model: "m"}).Settle(ratelimiter.Usage{})
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("the third process waited %v", waited)
		}
		stop()
		work.Wait()
		for _, l := range process {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
