// Limiter uses the limiter without HTTP, around work of any kind: it waits
// until the budget is free, and settles the charge to what the work has used.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/openai-ratelimiter/ratelimiter"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("example"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	question := ratelimiter.Chat{
		Model:     "gpt-5.4-mini",
		Messages:  []ratelimiter.Message{{Role: "user", Content: "Name a star of the southern sky."}},
		MaxTokens: 50,
	}

	wait, err := limiter.Delay(ctx, question)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("it would wait", wait)

	err = limiter.Do(ctx, question, func(context.Context) (ratelimiter.Usage, error) {
		fmt.Println("the call is made here") // by whatever client
		return ratelimiter.Usage{InputTokens: 14, OutputTokens: 3}, nil
	})
	if err != nil {
		log.Fatal(err)
	}

	question.MaxTokens = 40_000
	_, err = limiter.Acquire(ctx, question)
	var rejection *ratelimiter.Error
	if errors.As(err, &rejection) {
		fmt.Printf("rejected, %d %s above the limit: %v\n", rejection.Need-rejection.Limit, rejection.Unit, err)
	}
}
