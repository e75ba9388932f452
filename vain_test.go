package ratelimiter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

// An instants counts the asks that come at the same time, and answers no more than so many.
type instants struct {
	*memory.Backend
	mu sync.Mutex
	at time.Time
	n  int
}

const mostAtOnce = 1000

func (i *instants) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	i.mu.Lock()
	if now := time.Now(); now.After(i.at) && i.n < mostAtOnce {
		i.at, i.n = now, 0
	}
	i.n++
	vain := i.n >= mostAtOnce
	i.mu.Unlock()
	if vain {
		return backend.Answer{}, errAway
	}
	return i.Backend.Take(ctx, ask)
}

// Whatever the limits of models, families, accounts and classes are, and whoever changes them,
// limiters that share a budget don't wake each other in vain, and all calls have an end.
func TestNobodyIsWokenInVain(t *testing.T) {
	seed := seedtest.Seed()
	for i := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, i))
		t.Run(fmt.Sprint(seed, " ", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wakeNobodyInVain(t, r) })
		})
	}
}

func wakeNobodyInVain(t *testing.T, r *rand.Rand) {
	store, fleet := &instants{Backend: memory.New()}, make([]*ratelimiter.Limiter, 3)
	options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store), ratelimiter.WithWarnings(nil, 0)}
	if r.IntN(2) == 0 {
		options = append(options, ratelimiter.WithMaxWaiting(1+r.IntN(30)))
	}
	alike, limits := r.IntN(2) == 0, randomLimits(r)
	for i := range fleet {
		fleet[i] = newLimiter(t, append(options, limits...)...)
	}
	var calls sync.WaitGroup
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond) {
		for range r.IntN(20) {
			l, seed := fleet[r.IntN(len(fleet))], r.Uint64()
			calls.Go(func() { randomCall(l, rand.New(rand.NewPCG(seed, 0))) })
		}
		switch r.IntN(40) {
		case 0:
			if err := fleet[0].Clear(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
		case 1, 2:
			limits = randomLimits(r)
			for _, l := range fleet {
				if !alike {
					limits = randomLimits(r)
				}
				if err := l.SetLimits(limits...); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	calls.Wait()
	if store.n >= mostAtOnce {
		t.Errorf("%d asks at one time", store.n)
	}
	for _, l := range fleet {
		for _, s := range stateOf(t, l).Scopes {
			if s.Waiting+s.InFlight > 0 {
				t.Errorf("%+v; want no call", s)
			}
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func randomLimits(r *rand.Rand) (options []ratelimiter.Option) {
	some := func() (l ratelimiter.Limits) {
		for l == (ratelimiter.Limits{}) {
			if r.IntN(2) == 0 {
				l.RPM = 120 + r.Int64N(6000)
			}
			if r.IntN(2) == 0 {
				l.TPM = 100_000 + r.Int64N(1_000_000)
			}
			if r.IntN(2) == 0 {
				l.Concurrent = 1 + r.Int64N(20)
			}
		}
		if l.RPM+l.TPM > 0 && r.IntN(2) == 0 {
			l.Burst = time.Duration(1+r.IntN(60)) * time.Second
		}
		return l
	}
	classes := map[string]ratelimiter.Class{"": {}, "chat": {Weight: 100}}
	for name := range classes {
		if name != "" && r.IntN(2) == 0 {
			classes[name] = ratelimiter.Class{Weight: 100, Limits: some()}
		}
	}
	classes["batch"] = ratelimiter.Class{Limits: some()}
	options = append(options, ratelimiter.WithClasses(classes))
	for _, m := range []string{"m", "n", "o"} {
		if r.IntN(2) == 0 {
			options = append(options, ratelimiter.WithLimits(m, some()))
		}
	}
	if r.IntN(2) == 0 {
		options = append(options, ratelimiter.WithShared("f", some(), "m", "n"))
	}
	if r.IntN(2) == 0 {
		options = append(options, ratelimiter.WithAccountLimits(some()))
	}
	return options
}

// randomCall makes a call that may be rejected, or may give up.
func randomCall(l *ratelimiter.Limiter, r *rand.Rand) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch r.IntN(20) {
	case 0:
		time.AfterFunc(time.Duration(r.IntN(3000))*time.Millisecond, cancel)
	case 1:
		ctx = ratelimiter.ContextWithMaxWait(ctx, time.Duration(r.IntN(3))*time.Second)
	}
	ctx = ratelimiter.ContextWithClass(ctx, []string{"", "chat", "batch"}[r.IntN(3)])
	if r.IntN(2) == 0 {
		ctx = ratelimiter.ContextWithTenant(ctx, fmt.Sprint(r.IntN(5)))
	}
	v, err := l.Acquire(ctx, ratelimiter.Cost{Model: []string{"m", "n", "o"}[r.IntN(3)], Tokens: r.Int64N(5000)})
	if err != nil {
		return
	}
	time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
	v.Settle(ratelimiter.Usage{TotalTokens: r.Int64N(6000)})
}
