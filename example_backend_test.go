package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// Limiters with one backend share a budget. That of backend/redis does the same for limiters
// in different processes.
func ExampleWithBackend() {
	store := memory.New()
	call := ratelimiter.Cost{Model: "gpt-5.4-mini"}
	for _, name := range []string{"first", "second"} {
		limiter, err := ratelimiter.New(ratelimiter.WithBackend(store), ratelimiter.WithAccount("team"),
			ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}), ratelimiter.WithMaxWait(0))
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = limiter.Acquire(context.Background(), call)
		fmt.Println(name, "limiter: would have to wait:", errors.Is(err, ratelimiter.ErrMaxWait))
	}
	// Output:
	// first limiter: would have to wait: false
	// second limiter: would have to wait: true
}

// unreachable is a backend that does not answer.
type unreachable struct{ backend.Backend }

func (unreachable) Take(context.Context, backend.Ask) (backend.Answer, error) {
	return backend.Answer{}, errors.New("connection refused")
}

// While the store does not answer, this process spends its own part of the budget: a tenth,
// where ten processes share it.
func ExampleWithFallback() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWait(0),
		ratelimiter.WithBackend(unreachable{memory.New()}),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 10}),
		ratelimiter.WithFallback(ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Backend: func(err error) { fmt.Println("backend:", err) }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		_, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini"})
		fmt.Println("would have to wait:", errors.Is(err, ratelimiter.ErrMaxWait))
	}
	// Output:
	// backend: connection refused
	// would have to wait: false
	// would have to wait: true
}

// While the store does not answer, all calls pass. The server's 429s are what limits them.
func ExampleWithFailOpen() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWait(0),
		ratelimiter.WithBackend(unreachable{memory.New()}),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithFailOpen())
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		_, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini"})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
}

// Hooks count the commands that a store fails, and name the calls that don't start because of
// that.
func ExampleTrace_backend() {
	var failed atomic.Int64
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithBackend(unreachable{memory.New()}),
		ratelimiter.WithTrace(&ratelimiter.Trace{
			Command: func(i ratelimiter.CommandInfo) {
				if i.Err != nil {
					failed.Add(1)
				}
			},
			NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) {
				fmt.Println(i.Model, "did not start:", i.Code())
			},
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini"}); err != nil {
		fmt.Println("commands failed:", failed.Load() > 0)
	}
	// Output:
	// gpt-5.4-mini did not start: backend
	// commands failed: true
}

// Fleet lists the processes that share an account's budget. Without a shared backend this one
// is all there is.
func ExampleLimiter_Fleet() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{TPM: 200_000, Concurrent: 8}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 500})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel()

	fleet, err := limiter.Fleet(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range fleet.Processes {
		fmt.Printf("waiting %d, in flight %d, %d tokens, %.0f %% of all\n", p.Waiting, p.InFlight, p.Charged, 100*p.Share)
		for _, m := range p.Models {
			fmt.Printf("  %s: %d tokens\n", m.Model, m.Charged)
		}
		for _, s := range p.Slots {
			fmt.Printf("  %s: %d of its %d slots are used\n", s.Owner, s.Used, s.Held)
		}
	}
	// Output:
	// waiting 0, in flight 1, 500 tokens, 100 % of all
	//   gpt-5.4-mini: 500 tokens
	//   gpt-5.4-mini: 1 of its 1 slots are used
}
