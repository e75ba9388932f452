package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A line of bounded length rejects what does not fit into it, so that its callers can go
// elsewhere.
func ExampleWithMaxWaiting() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWaiting(1),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-5.4-mini"}
	first, err := limiter.Acquire(context.Background(), call) // the minute's only call
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Cancel()

	waits, left := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(ratelimiter.ContextWithTrace(context.Background(), &ratelimiter.Trace{
		Waiting: func(context.Context, ratelimiter.WaitingInfo) { close(waits) },
	}))
	go func() {
		defer close(left)
		_, _ = limiter.Acquire(ctx, call) // the second, which waits
	}()
	<-waits
	_, err = limiter.Acquire(context.Background(), call) // the third
	fmt.Println(errors.Is(err, ratelimiter.ErrQueueFull))
	cancel()
	<-left
	// Output: true
}

// A tenant is a customer, a user or a job. Those of a class share what it gets equally, and its
// places in line: a call of a tenant with none takes one from the tenant that has most.
func ExampleContextWithTenant() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWaiting(2),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-5.4-mini"}
	first, err := limiter.Acquire(context.Background(), call) // the minute's only call
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Cancel()

	waits, rejected := make(chan struct{}), make(chan error, 3)
	ctx, cancel := context.WithCancel(ratelimiter.ContextWithTrace(context.Background(), &ratelimiter.Trace{
		Waiting: func(context.Context, ratelimiter.WaitingInfo) { waits <- struct{}{} },
	}))
	for _, tenant := range []string{"customer 1", "customer 1", "customer 2"} {
		go func() {
			_, err := limiter.Acquire(ratelimiter.ContextWithTenant(ctx, tenant), call)
			rejected <- err
		}()
		<-waits
	}
	var full *ratelimiter.Error
	if err := <-rejected; errors.As(err, &full) {
		fmt.Println(full.Code(), "for", full.Tenant)
	}
	cancel()
	fmt.Println(<-rejected, <-rejected)
	// Output:
	// queue_full for customer 1
	// context canceled context canceled
}

// Hooks of a context are for calls of that context alone, such as those of one request to a
// service.
func ExampleContextWithTrace() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var used int64
	ctx := ratelimiter.ContextWithTrace(context.Background(), &ratelimiter.Trace{
		Settled: func(_ context.Context, i ratelimiter.SettledInfo) { used += i.Final.Tokens },
	})
	for range 3 {
		r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 1_000})
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Settle(ratelimiter.Usage{InputTokens: 20, OutputTokens: 180})
	}
	fmt.Println("this request has used", used, "tokens")
	// Output: this request has used 600 tokens
}

// A call that is not made after all gives its charge back. Cancel after Settle does nothing,
// so that it can be deferred.
func ExampleReservation_Cancel() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{TPD: 10_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, used := range []int64{0, 3_000} { // nothing: the call is not made
		r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 8_000})
		if err != nil {
			fmt.Println(err)
			return
		}
		if used > 0 {
			r.Settle(ratelimiter.Usage{TotalTokens: used})
		}
		r.Cancel()
		state, err := limiter.State(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(state.Scopes[0].Limits[0].Remaining, "tokens remain")
	}
	// Output:
	// 10000 tokens remain
	// 7000 tokens remain
}
