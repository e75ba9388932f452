package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// reporter counts what a backend is told of processes.
type reporter struct {
	*memory.Backend
	reports atomic.Int64
	err     error
}

func (r *reporter) Report(ctx context.Context, account, process string, data []byte, ttl time.Duration) error {
	r.reports.Add(1)
	return r.Backend.Report(ctx, account, process, data, ttl)
}

func (r *reporter) Reports(ctx context.Context, account string) ([]backend.Report, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.Backend.Reports(ctx, account)
}

func fleetOf(t *testing.T, l *ratelimiter.Limiter) ratelimiter.FleetState {
	t.Helper()
	f, err := l.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Limiters that share a backend see each other: what waits, what is in flight, which part of
// the last minute each has had, and the slots that it holds. Each sees itself as it is.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &reporter{Backend: memory.New()}
		limiter := func() *ratelimiter.Limiter {
			return newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(b),
				ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 6000, Concurrent: 10}), ratelimiter.WithLimits("n", ratelimiter.Limits{TPM: 1000}))
		}
		acquire := func(l *ratelimiter.Limiter, model string, tokens int64) *ratelimiter.Reservation {
			t.Helper()
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: model, Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		one, two, idle := limiter(), limiter(), limiter()
		if f := fleetOf(t, idle); len(f.Processes) != 0 || f.Account != "a" {
			t.Errorf("%+v before any call", f)
		}
		acquire(one, "m", 4500).Settle(ratelimiter.Usage{TotalTokens: 4500})
		first := acquire(two, "m", 1500)
		acquire(two, "n", 1000).Settle(ratelimiter.Usage{TotalTokens: 1000})
		waits := make(chan error)
		go func() {
			r, err := two.Acquire(t.Context(), ratelimiter.Cost{Model: "n", Tokens: 1000})
			if err == nil {
				r.Settle(ratelimiter.Usage{TotalTokens: 1000})
			}
			waits <- err
		}()
		if f := fleetOf(t, one); len(f.Processes) != 1 || !f.Processes[0].Own || f.Charged != 4500 {
			t.Errorf("%+v; the other one has not said anything yet", f)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		f := fleetOf(t, one)
		if len(f.Processes) != 2 || f.Waiting != 1 || f.InFlight != 1 || f.Charged != 7000 || f.Oldest < time.Second {
			t.Fatalf("%+v", f)
		}
		own, other := f.Processes[0], f.Processes[1]
		if other.Own {
			own, other = other, own
		}
		if !own.Own || other.Own || own.ID == other.ID || own.Age != 0 || other.Age < time.Second || other.Age >= 2*time.Second {
			t.Errorf("%+v and %+v", own, other)
		}
		if own.Charged != 4500 || other.Charged != 2500 || own.Share != 4500.0/7000 || other.Share != 2500.0/7000 {
			t.Errorf("shares of %+v and %+v", own, other)
		}
		n, m := other.Models[0], other.Models[1]
		if n.Model != "n" || n.Waiting != 1 || n.Oldest != f.Oldest || n.Charged != 1000 || n.Share != 1 ||
			m.Model != "m" || m.InFlight != 1 || m.Waiting != 0 || m.Charged != 1500 || m.Share != 0.25 {
			t.Errorf("models %+v", other.Models)
		}
		if len(other.Slots) != 1 || other.Slots[0] != (ratelimiter.ProcessSlots{Owner: "m", Held: 1, Used: 1}) || len(own.Slots) != 0 {
			t.Errorf("slots %+v and %+v", other.Slots, own.Slots)
		}
		if f2 := fleetOf(t, idle); len(f2.Processes) != 2 || f2.Processes[0].Own || f2.Processes[1].Own {
			t.Errorf("%+v; want the two as others see them", f2)
		}
		first.Settle(ratelimiter.Usage{TotalTokens: 1500})
		if err := <-waits; err != nil {
			t.Fatal(err)
		}
		time.Sleep(75 * time.Second)
		if f := fleetOf(t, idle); len(f.Processes) != 0 {
			t.Errorf("%+v a minute after the last call", f)
		}
		before := b.reports.Load()
		time.Sleep(time.Hour)
		if n := b.reports.Load() - before; n != 0 {
			t.Errorf("%d reports of an hour without calls", n)
		}
		b.err = errors.New("away")
		if _, err := one.Fleet(t.Context()); !errors.Is(err, ratelimiter.ErrBackend) || !errors.Is(err, b.err) {
			t.Errorf("%v; want the backend's error", err)
		}
	})
}

// A limiter that shuts down is gone at once, and one with calls in flight when they end.
func TestFleetAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithBackend(b)}
		one, watcher := newLimiter(t, options...), newLimiter(t, options...)
		shows := func(want int) {
			t.Helper()
			if f := fleetOf(t, watcher); len(f.Processes) != want {
				t.Errorf("%+v; want %d", f.Processes, want)
			}
		}
		r, err := one.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Tokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		shows(1)
		if err := one.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		shows(1)
		r.Settle(ratelimiter.Usage{TotalTokens: 1})
		if err := one.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		shows(0)
	})
}

// What a process says is bounded: of many models the busiest, and the rest as one. With many
// accounts each is told of less often.
func TestFleetIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &reporter{Backend: memory.New()}
		l := newLimiter(t, ratelimiter.WithBackend(b))
		watcher := newLimiter(t, ratelimiter.WithBackend(b))
		spend := func(account, model string, tokens int64) {
			t.Helper()
			r, err := l.Acquire(ratelimiter.ContextWithAccount(t.Context(), account), ratelimiter.Cost{Model: model, Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{TotalTokens: tokens})
		}
		for i := range 200 {
			spend("a", fmt.Sprint("m", i), int64(i+1))
		}
		time.Sleep(3 * time.Second)
		f, err := watcher.Fleet(ratelimiter.ContextWithAccount(t.Context(), "a"))
		if err != nil || len(f.Processes) != 1 {
			t.Fatalf("%+v, %v", f, err)
		}
		p := f.Processes[0]
		if len(p.Models) != 65 || p.Models[0].Model != "m199" || p.Models[64].Model != "" || p.Charged != 200*201/2 || p.Share != 1 {
			t.Errorf("%d models: %+v of %d", len(p.Models), p.Models[64], p.Charged)
		}
		for i := range 1000 {
			spend(fmt.Sprint("account", i), "m", 1)
		}
		time.Sleep(25 * time.Second)
		before := b.reports.Load()
		time.Sleep(20 * time.Second)
		if n := b.reports.Load() - before; n < 900 || n > 1100 {
			t.Errorf("%d reports in 20s of 1,001 accounts; want one of each", n)
		}
	})
}

// Of what others say that makes no sense nothing is shown.
func TestFleetOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		for process, data := range map[string]string{
			"a": `not JSON`, "b": `{}`, "c": `{"v":1}`, "d": `{"v":2,"id":"x"}`,
			"e": `{"v":1,"id":"x","models":[{"m":"m","w":-1}]}`,
			"f": `{"v":1,"id":"x","models":[{"m":"m","s":-1}]}`,
			"g": `{"v":1,"id":"x","slots":[{"o":"m","h":1,"u":2}]}`,
			"h": `{"v":1,"id":"good","models":[{"m":"m","w":2}]}`,
		} {
			if err := b.Report(t.Context(), "a", process, []byte(data), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		f := fleetOf(t, newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(b)))
		if len(f.Processes) != 1 || f.Processes[0].ID != "good" || f.Waiting != 2 {
			t.Errorf("%+v", f.Processes)
		}
	})
}

// A limiter in shadow is none of those that use the budget: it is shown among those in shadow.
func TestFleetOfShadows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithBackend(memory.New())}
		limiter := func() *ratelimiter.Limiter { return newLimiter(t, options...) }
		user, watcher := limiter(), limiter()
		options = append(options, ratelimiter.WithShadow())
		shadow, shadowed := limiter(), limiter()
		for l, tokens := range map[*ratelimiter.Limiter]int64{user: 10, shadow: 100} {
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{TotalTokens: tokens})
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if f := fleetOf(t, watcher); len(f.Processes) != 1 || f.Charged != 10 {
			t.Errorf("%+v; want the one that uses the budget", f)
		}
		if f := fleetOf(t, shadowed); len(f.Processes) != 1 || f.Charged != 100 {
			t.Errorf("%+v; want the one in shadow", f)
		}
	})
}
