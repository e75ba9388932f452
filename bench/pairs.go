package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
)

// A pair is what is measured and what it is measured beside.
type pair struct {
	what, beside  string
	with, without func() error
	bars          bars
	events        bool // the response streams, and that of the pair before does not
}

// bars are the most that a pair may take; 0 is no bar.
type bars struct {
	ratio             float64
	ns, bytes, allocs float64 // more than beside it
}

// of says which bars there are, and which of them the figures miss.
func (b bars) of(with, without figures) string {
	var out []string
	for _, x := range []struct {
		most, got float64
		unit      string
	}{
		{b.ratio, with.ns / without.ns, " ×"},
		{b.ns / 1e3, (with.ns - without.ns) / 1e3, " µs more"},
		{b.bytes, with.bytes - without.bytes, " B more"},
		{b.allocs, with.allocs - without.allocs, " allocs more"},
	} {
		if x.most > 0 {
			out = append(out, atMost(x.most, x.got, x.unit))
		}
	}
	return strings.Join(out, ", ")
}

// barsOf are those of a chat with a prompt of so many bytes.
var barsOf = map[int]bars{
	100:       {ratio: 3.5, bytes: 2_500, allocs: 20},
	100_000:   {ns: 150e3},
	1_000_000: {ns: 1e6},
}

const (
	model = "gpt-5.4-mini"
	// plenty is a limit at which nobody waits.
	plenty = 1 << 39
)

func pairs() ([]pair, error) {
	limits := ratelimiter.Limits{RPM: plenty, TPM: plenty}
	var out []pair
	for _, size := range []int{100, 1_000, 10_000, 100_000, 1_000_000} {
		for _, stream := range []bool{false, true} {
			what := fmt.Sprintf("chat, prompt of %d characters", size)
			if stream {
				what += fmt.Sprintf(", stream of %d events", output)
			}
			body := chatBody(size, stream)
			p := pair{
				what: what, beside: "bare upstream", events: stream && size == 100, // elsewhere they are lost in the rest
				with:    post(newLimiter(limits).Transport(newUpstream(limits, body)), "chat/completions", body),
				without: post(newUpstream(limits, body), "chat/completions", body),
			}
			if !stream {
				p.bars = barsOf[size]
			}
			out = append(out, p)
		}
	}
	for _, size := range []int{100_000, 1_000_000} {
		kinds, err := texttest.Kinds(size)
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			body := chatOf(kind.Content, false)
			out = append(out, pair{
				what: fmt.Sprintf("chat, %d bytes of %s", size, kind.Kind), beside: "bare upstream",
				with:    post(newLimiter(limits).Transport(newUpstream(limits, body)), "chat/completions", body),
				without: post(newUpstream(limits, body), "chat/completions", body),
				bars:    barsOf[size],
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
		bars: bars{allocs: 4},
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
		bars: bars{ratio: 8, allocs: 4},
	}), nil
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

const sentence = "The limiter lets each request wait until its budget is free, and no longer. "

// chatBody is a chat's body whose prompt is English of so many characters.
func chatBody(size int, stream bool) string {
	return chatOf(strings.Repeat(sentence, size/len(sentence)+1)[:size], stream)
}

// chatOf is a chat's body with a prompt.
func chatOf(prompt string, stream bool) string {
	content, err := json.Marshal(prompt)
	if err != nil {
		panic(err) // a string can be marshalled
	}
	options := ""
	if stream {
		options = `"stream":true,"stream_options":{"include_usage":true},`
	}
	return fmt.Sprintf(`{"model":%q,%s"max_completion_tokens":%d,"messages":[{"role":"user","content":%s}]}`,
		model, options, output, content)
}
