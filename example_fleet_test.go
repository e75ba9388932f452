package ratelimiter_test

import (
	"context"
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter"
)

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
