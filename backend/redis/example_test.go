package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// Ten processes that are made like this spend one budget. While Redis does not answer, each
// spends a tenth of it.
func Example() {
	client := goredis.NewClient(&goredis.Options{Addr: os.Getenv("REDIS_ADDR"), ContextTimeoutEnabled: true})
	defer client.Close()
	limiter, err := ratelimiter.New(
		ratelimiter.WithBackend(redis.New(client, redis.WithTimeout(500*time.Millisecond))),
		ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 5_000, TPM: 2_000_000}),
		ratelimiter.WithFallback(ratelimiter.Limits{RPM: 500, TPM: 200_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 1_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel()
	fmt.Println(r.Cost().Tokens, "tokens are reserved")
	// The call is made here.
	r.Settle(ratelimiter.Usage{InputTokens: 600, OutputTokens: 150})
	// Output: 1000 tokens are reserved
}

// Two fleets on one Redis that must not meet have a prefix each, such as those of two releases
// whose formats differ.
func ExampleWithPrefix() {
	client := goredis.NewClient(&goredis.Options{Addr: os.Getenv("REDIS_ADDR"), ContextTimeoutEnabled: true})
	defer client.Close()
	ctx := context.Background()
	remaining := map[string]int64{}
	for _, prefix := range []string{"staging:", "production:"} {
		limiter, err := ratelimiter.New(
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))),
			ratelimiter.WithAccount("team"),
			ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{TPD: 1_000_000}))
		if err != nil {
			fmt.Println(err)
			return
		}
		if prefix == "staging:" {
			r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 1_000})
			if err != nil {
				fmt.Println(err)
				return
			}
			r.Settle(ratelimiter.Usage{InputTokens: 600, OutputTokens: 150})
		}
		state, err := limiter.State(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		remaining[prefix] = state.Scopes[0].Limits[0].Remaining
	}
	fmt.Println("production has all of its budget:", remaining["production:"] == 1_000_000)
	fmt.Println("staging has less:", remaining["staging:"] < 1_000_000)
	// Output:
	// production has all of its budget: true
	// staging has less: true
}

// The error of a call says what a Redis lacks.
func ExampleError() {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	limiter, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(client)), ratelimiter.WithAccount("team"))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = limiter.Clear(context.Background(), "gpt-5.4-mini")
	var failed *redis.Error
	switch {
	case errors.Is(err, redis.ErrDenied):
		fmt.Println("the user needs more permissions:", err)
	case errors.As(err, &failed):
		fmt.Println(failed.Op, "has failed")
	}
	// Output: clear has failed
}
