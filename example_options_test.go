package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// All faults of a configuration are reported together.
func ExampleNew() {
	_, err := ratelimiter.New(
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: -1}),
		ratelimiter.WithMaxWaiting(0),
		ratelimiter.WithMaxWait(-time.Second))
	fmt.Println(err)
	// Output:
	// ratelimiter: the configuration is faulty:
	// WithLimits("gpt-4o"): RPM is -1: a limit must be positive, or 0 for none
	// WithMaxWaiting: 0 is not positive; WithMaxWait(0) lets no call wait
	// WithMaxWait: -1s is negative
}

// An alias and the dated model behind it share their limits at OpenAI.
func ExampleWithShared() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWait(0),
		ratelimiter.WithShared("gpt-4o", ratelimiter.Limits{RPM: 1}, "gpt-4o", "gpt-4o-2024-08-06"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, model := range []string{"gpt-4o", "gpt-4o-2024-08-06"} {
		_, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: model})
		fmt.Println(model, errors.Is(err, ratelimiter.ErrMaxWait))
	}
	// Output:
	// gpt-4o false
	// gpt-4o-2024-08-06 true
}

// A tokenizer of the program's own counts in the library's place.
func ExampleWithCounter() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithCounter(words{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Embedding{Model: "ours", Input: []string{"one two three"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel()
	fmt.Println(r.Cost().Tokens)
	// Output: 3
}

// words counts a token for each word.
type words struct{}

func (words) Count(_, _, text string) int { return len(strings.Fields(text)) }

// A client that knows nothing of this package gets rejections as responses in OpenAI's form.
func ExampleWithRejectionResponses() {
	limiter, err := ratelimiter.New(ratelimiter.WithRejectionResponses(),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 50}))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := limiter.Client(openaitest.New().Direct()).Post("https://api.openai.com/v1/chat/completions", "application/json", strings.NewReader(
		`{"model": "gpt-4o", "max_completion_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, resp.Header.Get("x-should-retry"), strings.Contains(string(body), `"code":"too_large"`), err)
	// Output: 429 false true <nil>
}

// Everything that happens, as log records; the same to slog.Default() with a nil logger.
func ExampleLogTrace() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "waited", "took":
				return slog.Attr{}
			}
			return a
		},
	}))
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		ratelimiter.WithTrace(ratelimiter.LogTrace(logger, &ratelimiter.LogOptions{Accounts: true}))) // nil: digests of their names
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-4o", Tokens: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Settle(ratelimiter.Usage{InputTokens: 20, OutputTokens: 30})
	// Output:
	// level=DEBUG msg="ratelimiter: call started" ratelimiter.account=team ratelimiter.model=gpt-4o ratelimiter.cost.requests=1 ratelimiter.cost.tokens=100
	// level=DEBUG msg="ratelimiter: call settled" ratelimiter.account=team ratelimiter.model=gpt-4o ratelimiter.charged.requests=1 ratelimiter.charged.tokens=100 ratelimiter.final.requests=1 ratelimiter.final.tokens=50
}
