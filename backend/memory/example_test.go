package memory_test

import (
	"context"
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// Two limiters of one process that share a budget: one of them may have other options, such as
// no wait at all. A single limiter has a memory of its own without this.
func ExampleNew() {
	store := memory.New()
	for _, options := range [][]ratelimiter.Option{nil, {ratelimiter.WithMaxWait(0)}} {
		limiter, err := ratelimiter.New(append(options, ratelimiter.WithBackend(store), ratelimiter.WithAccount("team"),
			ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}))...)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini"})
		fmt.Println(err != nil)
	}
	// Output:
	// false
	// true
}
