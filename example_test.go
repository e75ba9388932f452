package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A client whose requests wait for their budget. Here a stand-in answers
// instead of the API; a nil base is an ordinary transport.
func ExampleLimiter_Client() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(openaitest.New().Direct())

	resp, err := client.Post("https://api.openai.com/v1/chat/completions", "application/json", strings.NewReader(
		`{"model": "gpt-4o", "max_completion_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	fmt.Println(resp.StatusCode)
	// Output: 200
}

func ExampleLimiter_Acquire() {
	ctx := context.Background()
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(ctx, ratelimiter.Chat{
		Model:     "gpt-4o",
		Messages:  []ratelimiter.Message{{Role: "user", Content: "Who is Joseph Conrad?"}},
		MaxTokens: 500,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel() // does nothing once settled
	fmt.Println("reserved", r.Cost().Tokens)
	// The call is made here.
	r.Settle(ratelimiter.Usage{InputTokens: 12, OutputTokens: 180})
	// Output: reserved 512
}

func ExampleLimiter_Do() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	long := ratelimiter.Cost{Model: "gpt-4o", Tokens: 31_538}
	err = limiter.Do(context.Background(), long, func(context.Context) (ratelimiter.Usage, error) {
		return ratelimiter.Usage{TotalTokens: 31_000}, nil
	})
	fmt.Println(errors.Is(err, ratelimiter.ErrTooLarge))
	fmt.Println(err)
	// Output:
	// true
	// ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 (configured): shorten the input or lower max_tokens
}

// Hooks that log with slog.
func ExampleWithTrace() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	limiter, err := ratelimiter.New(ratelimiter.WithTrace(&ratelimiter.Trace{
		Waiting: func(ctx context.Context, i ratelimiter.WaitingInfo) {
			log.InfoContext(ctx, "waiting", "model", i.Model, "ahead", i.Ahead, "wait", i.Wait)
		},
		Paused: func(ctx context.Context, i ratelimiter.PausedInfo) {
			log.WarnContext(ctx, "throttled by the server", "model", i.Model, "kind", i.Kind, "for", i.For)
		},
		Settled: func(ctx context.Context, i ratelimiter.SettledInfo) {
			log.InfoContext(ctx, "settled", "model", i.Model, "charged", i.Charged.Tokens, "final", i.Final.Tokens)
		},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := openaitest.New()
	srv.Inject(1, openaitest.InsufficientQuota())
	client := limiter.Client(srv.Direct())
	for range 2 {
		resp, err := client.Post("https://api.openai.com/v1/completions", "application/json",
			strings.NewReader(`{"model": "davinci-002", "prompt": "Once upon", "max_tokens": 8}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	// Output:
	// level=WARN msg="throttled by the server" model=davinci-002 kind=quota for=0s
	// level=INFO msg=settled model=davinci-002 charged=10 final=0
	// level=INFO msg=settled model=davinci-002 charged=10 final=4
}

// What a response reports of the server's buckets, and a host that many keys are used on.
func ExampleTrace() {
	limiter, err := ratelimiter.New(ratelimiter.WithTrace(&ratelimiter.Trace{
		Observed: func(_ context.Context, i ratelimiter.ObservedInfo) {
			for _, bucket := range []ratelimiter.Observation{i.Requests, i.Tokens} {
				fmt.Println(i.Status, "remaining", bucket.Remaining, "of", bucket.Limit)
			}
		},
		Credentials: func(_ context.Context, i ratelimiter.CredentialsInfo) {
			fmt.Println("name the account with WithAccount:", i.Credentials, "keys on", i.Host)
		},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := openaitest.New(openaitest.WithLimits("gpt-5.4-mini", openaitest.Limits{RPM: 500, TPM: 200_000}))
	resp, err := limiter.Client(srv.Direct()).Post("https://api.openai.com/v1/responses", "application/json",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// 200 remaining 499 of 500
	// 200 remaining 199897 of 200000
}
