package main

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/time/rate"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A pair is what is measured and what it is measured beside.
type pair struct {
	what, beside  string
	with, without func() error
}

const (
	model = "gpt-5.4-mini"
	// plenty is a limit at which nobody waits.
	plenty = 1 << 39
)

func pairs() []pair {
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("bench"),
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: plenty, TPM: plenty}))
	if err != nil {
		panic(err) // the options above are constant
	}
	var out []pair
	for _, size := range []int{100, 1_000, 10_000, 100_000} {
		for _, stream := range []bool{false, true} {
			what := fmt.Sprintf("chat, prompt of %d characters", size)
			upstream := jsonUpstream
			if stream {
				what += ", stream of 100 events"
				upstream = streamUpstream
			}
			body := chatBody(size, stream)
			out = append(out, pair{
				what: what, beside: "bare upstream",
				with:    post(limiter.Transport(upstream), "chat/completions", body),
				without: post(upstream, "chat/completions", body),
			})
		}
	}
	body := chatBody(1_000, false)
	out = append(out, pair{
		what: "a path that is not limited", beside: "bare upstream",
		with:    post(limiter.Transport(jsonUpstream), "files", body),
		without: post(jsonUpstream, "files", body),
	})

	ctx := context.Background()
	cost := ratelimiter.Cost{Model: model, Tokens: 100}
	peer := rate.NewLimiter(rate.Limit(plenty), plenty)
	return append(out, pair{
		what: "Acquire and Settle", beside: "golang.org/x/time/rate WaitN, one local bucket",
		with: func() error {
			r, err := limiter.Acquire(ctx, cost)
			if err != nil {
				return err
			}
			r.Settle(ratelimiter.Usage{TotalTokens: 80})
			return nil
		},
		without: func() error { return peer.WaitN(ctx, 100) },
	})
}

// chatBody is a chat's body whose prompt is English of so many characters.
func chatBody(size int, stream bool) string {
	const sentence = "The limiter lets each request wait until its budget is free, and no longer. "
	prompt := strings.Repeat(sentence, size/len(sentence)+1)[:size]
	return fmt.Sprintf(`{"model":%q,"stream":%t,"max_completion_tokens":100,"messages":[{"role":"user","content":%q}]}`,
		model, stream, prompt)
}
