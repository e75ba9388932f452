package ratelimiter_test

import (
	"context"
	"fmt"
	"runtime"

	"github.com/openai-ratelimiter/ratelimiter"
)

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
