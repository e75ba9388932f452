package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"

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
