package ratelimiter_test

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Delay answers before a call is made; Clear fills the buckets.
func ExampleLimiter_Delay() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-4o"}
	r, err := limiter.Acquire(ctx, call)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Settle(ratelimiter.Usage{})

	d, err := limiter.Delay(ctx, call)
	fmt.Println(d.Round(time.Minute), err)
	if err := limiter.Clear(ctx, "gpt-4o"); err != nil {
		fmt.Println(err)
		return
	}
	d, err = limiter.Delay(ctx, call)
	fmt.Println(d, err)
	// Output:
	// 1m0s <nil>
	// 0s <nil>
}

// State is what there is of each limit, and how many calls wait for it.
func ExampleLimiter_State() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPD: 1_000_000}),
		ratelimiter.WithLimits("gpt-4o-mini", ratelimiter.Limits{TPD: 1_000_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o", Tokens: 250_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel()

	state, err := limiter.State(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, scope := range state.Scopes {
		fmt.Println(scope.Model, "waiting:", scope.Waiting, "in flight:", scope.InFlight, "unused:", scope.Unused)
		for _, l := range scope.Limits {
			fmt.Printf("  %s of %s: %.0f %% of %d remain, %s\n",
				l.Name, l.Owner, 100*float64(l.Remaining)/float64(l.Limit), l.Limit, l.Source)
		}
	}
	// Output:
	// gpt-4o waiting: 0 in flight: 1 unused: false
	//   tpd of gpt-4o: 75 % of 1000000 remain, configured
	// gpt-4o-mini waiting: 0 in flight: 0 unused: true
	//   tpd of gpt-4o-mini: 100 % of 1000000 remain, configured
}

// Classes and tenants are listed with their parts of what was charged in the last minute.
func ExampleLimiter_State_shares() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 10}, "batch": {}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for class, tokens := range map[string]int64{"chat": 3_000, "batch": 1_000} {
		ctx := ratelimiter.ContextWithClass(context.Background(), class)
		r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o", Tokens: tokens})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer r.Cancel()
	}
	state, err := limiter.State(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, class := range state.Classes {
		fmt.Printf("%s: %d tokens, %.0f %%\n", class.Class, class.Charged, 100*class.Share)
	}
	// Output:
	// batch: 1000 tokens, 25 %
	// chat: 3000 tokens, 75 %
}

// An account that has come to another tier gets its new limits while the program runs.
func ExampleLimiter_SetLimits() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	large := ratelimiter.Cost{Model: "gpt-4o", Tokens: 31_000}
	_, err = limiter.Delay(context.Background(), large)
	fmt.Println(err)
	if err := limiter.SetLimits(ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 450_000})); err != nil {
		fmt.Println(err)
		return
	}
	_, err = limiter.Delay(context.Background(), large)
	fmt.Println(err)
	// Output:
	// ratelimiter: gpt-4o: needs 31,000 tokens, the limit is 30,000 per minute (configured): shorten the input or lower max_tokens
	// <nil>
}

// A limiter in shadow holds nothing up, and reports what it would have done.
func ExampleWithShadow() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithShadow(), ratelimiter.WithAccount("team"),
		ratelimiter.WithMaxWait(0),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 { // of which the limits let one through
		r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini"})
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Settle(ratelimiter.Usage{}) // after the call
	}
	for limiter.ShadowReport().Total.Undecided > 0 { // which is found out in the background
		runtime.Gosched()
	}
	report := limiter.ShadowReport()
	fmt.Println(report)
	fmt.Println("one in ten would have waited for more than", report.Total.Wait.P90)
	// Output:
	// 3 calls: 1 at once
	// 0 would have waited
	// 2 would have been rejected: 2 max_wait
	// 0 throttled by the server, of which the limiter would have prevented 0
	// one in ten would have waited for more than 0s
}
