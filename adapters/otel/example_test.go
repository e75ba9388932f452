package ratelimiterotel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

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

// Providers of the program's own, in place of the global ones. The other options say which
// attributes there are.
func ExampleWithMetrics() {
	meters, tracers := noop.NewMeterProvider(), tracenoop.NewTracerProvider() // those of an SDK, in a program
	metrics := ratelimiterotel.WithMetrics(
		ratelimiterotel.WithMeterProvider(meters),
		ratelimiterotel.WithProviderName("azure.ai.openai"),
		ratelimiterotel.WithAccountNames())
	limiter, err := ratelimiter.New(metrics, ratelimiterotel.WithTraces(ratelimiterotel.WithTracerProvider(tracers)))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = limiter
	fmt.Println(metrics.Unregister()) // when the limiter is no longer used
	// Output: <nil>
}
