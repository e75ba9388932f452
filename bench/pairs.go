package main

import (
	"context"
	"fmt"
	"strings"
	"time"

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
	limits := ratelimiter.Limits{RPM: plenty, TPM: plenty}
	var out []pair
	for _, size := range []int{100, 1_000, 10_000, 100_000, 1_000_000} {
		for _, stream := range []bool{false, true} {
			what := fmt.Sprintf("chat, prompt of %d characters", size)
			if stream {
				what += fmt.Sprintf(", stream of %d events", output)
			}
			body := chatBody(size, stream)
			out = append(out, pair{
				what: what, beside: "bare upstream",
				with:    post(newLimiter(limits).Transport(newUpstream(limits, body)), "chat/completions", body),
				without: post(newUpstream(limits, body), "chat/completions", body),
			})
		}
	}
	body := chatBody(1_000, false)
	out = append(out, pair{
		what: "a path that is not limited", beside: "bare upstream",
		with:    post(newLimiter(limits).Transport(newUpstream(limits, body)), "files", body),
		without: post(newUpstream(limits, body), "files", body),
	})

	ctx := context.Background()
	limiter := informed(limits)
	acquire := func() error {
		r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: model, Tokens: 100})
		if err != nil {
			return err
		}
		r.Settle(ratelimiter.Usage{TotalTokens: 80})
		return nil
	}
	requests, tokens := rate.NewLimiter(plenty, plenty), rate.NewLimiter(plenty, plenty)
	return append(out, pair{
		what: "Acquire and Settle", beside: "golang.org/x/time/rate, WaitN of two buckets",
		with: acquire,
		without: func() error {
			if err := requests.WaitN(ctx, 1); err != nil {
				return err
			}
			return tokens.WaitN(ctx, 100)
		},
	}, pair{
		what: "Acquire and Settle", beside: "golang.org/x/time/rate, ReserveN of two buckets",
		with: acquire,
		without: func() error {
			now := time.Now()
			delay := max(requests.ReserveN(now, 1).DelayFrom(now), tokens.ReserveN(now, 100).DelayFrom(now))
			if delay > 0 {
				return fmt.Errorf("a wait of %v", delay)
			}
			return nil
		},
	})
}

// newLimiter returns a limiter with limits for the model.
func newLimiter(limits ratelimiter.Limits) *ratelimiter.Limiter {
	l, err := ratelimiter.New(ratelimiter.WithAccount("bench"), ratelimiter.WithLimits(model, limits), ratelimiter.WithWarnings(nil, 0))
	if err != nil {
		panic(err) // the options above are constant
	}
	return l
}

// informed returns a limiter that has heard once from a server where it stands, as one has
// whose program makes any call with HTTP.
func informed(limits ratelimiter.Limits) *ratelimiter.Limiter {
	l, body := newLimiter(limits), chatBody(100, false)
	if err := post(l.Transport(newUpstream(limits, body)), "chat/completions", body)(); err != nil {
		panic(err) // the upstream is a function
	}
	return l
}

// chatBody is a chat's body whose prompt is English of so many characters.
func chatBody(size int, stream bool) string {
	const sentence = "The limiter lets each request wait until its budget is free, and no longer. "
	prompt := strings.Repeat(sentence, size/len(sentence)+1)[:size]
	options := ""
	if stream {
		options = `"stream":true,"stream_options":{"include_usage":true},`
	}
	return fmt.Sprintf(`{"model":%q,%s"max_completion_tokens":%d,"messages":[{"role":"user","content":%q}]}`,
		model, options, output, prompt)
}
