package ratelimiterotel_test

import (
	"context"
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
)

// Metrics and spans go to the global providers, once the program has set them.
func Example() {
	metrics := ratelimiterotel.WithMetrics()
	defer metrics.Unregister()
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		metrics,
		ratelimiterotel.WithTraces())
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 100})
	fmt.Println(r.Cost().Tokens, err)
	r.Cancel()
	// Output: 100 <nil>
}
