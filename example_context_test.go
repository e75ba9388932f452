package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A call that somebody waits for is rejected rather than late. The batch beside it waits.
func ExampleContextWithMaxWait() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-4o"}
	batch, err := limiter.Acquire(context.Background(), call) // the minute's only call
	if err != nil {
		fmt.Println(err)
		return
	}
	batch.Settle(ratelimiter.Usage{})

	ctx := ratelimiter.ContextWithMaxWait(context.Background(), 2*time.Second)
	_, err = limiter.Acquire(ctx, call)
	if e := (*ratelimiter.Error)(nil); errors.As(err, &e) {
		fmt.Println(e.Code(), e.Unit, e.RetryAfter().Round(time.Minute))
	}
	// Output: max_wait requests 1m0s
}

// While there is not enough for all, interactive calls get a hundred times what the batch
// gets, and customers share that equally.
func ExampleContextWithClass() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{
			"interactive": {Weight: 100, MaxWait: 20 * time.Second},
			"batch":       {Weight: 1},
		}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Started: func(_ context.Context, i ratelimiter.StartedInfo) {
			fmt.Println(i.Class, i.Tenant)
		}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := ratelimiter.ContextWithClass(context.Background(), "interactive")
	ctx = ratelimiter.ContextWithTenant(ctx, "customer 7")
	r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o", Tokens: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Cancel()
	// Output: interactive customer 7
}

// Two teams whose calls go through one limiter have a budget each.
func ExampleContextWithAccount() {
	limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}), ratelimiter.WithMaxWait(0))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, team := range []string{"red", "blue", "blue"} {
		ctx := ratelimiter.ContextWithAccount(context.Background(), team)
		_, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o"})
		fmt.Println(team, errors.Is(err, ratelimiter.ErrMaxWait))
	}
	fmt.Println(limiter.Accounts())
	// Output:
	// red false
	// blue false
	// blue true
	// [blue red]
}

// A call that was acquired by hand is sent through a client of the same limiter. It is
// charged once, and its response settles it.
func ExampleContextWithReservation() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
			fmt.Println("settled", i.Final.Requests, "request, usage known:", i.HasUsage)
		}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	body := `{"model": "gpt-4o", "max_completion_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}`
	r, err := limiter.Acquire(context.Background(), ratelimiter.JSON("chat/completions", []byte(body)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel() // if it is not sent

	ctx := ratelimiter.ContextWithReservation(context.Background(), r)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.openai.com/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := limiter.Client(openaitest.New().Direct()).Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	// Output: settled 1 request, usage known: true
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
