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

// Each model has its limits, those of the account's settings page. A server of one's own
// may have a limit on calls in flight instead.
func ExampleWithLimits() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 200_000}),
		ratelimiter.WithLimits("gpt-image-2", ratelimiter.Limits{IPM: 5}),
		ratelimiter.WithLimits("on-our-gpu", ratelimiter.Limits{Concurrent: 64}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []ratelimiter.Call{
		ratelimiter.Text{Model: "gpt-5.4-mini", Prompt: "Once upon a time", MaxTokens: 50},
		ratelimiter.Image{Model: "gpt-image-2", Prompt: "a lighthouse", N: 2},
		ratelimiter.Embedding{Model: "on-our-gpu", Input: []string{"a lighthouse"}},
	} {
		r, err := limiter.Acquire(context.Background(), call)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer r.Cancel()
		c := r.Cost()
		fmt.Println(c.Model, c.Requests, c.Tokens > 0, c.Images)
	}
	// Output:
	// gpt-5.4-mini 1 true 0
	// gpt-image-2 1 true 2
	// on-our-gpu 1 true 0
}

// A limit of the whole account stands beside those of its models. The error says whose limit
// it was.
func ExampleWithAccountLimits() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWait(0),
		ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithLimits("gpt-5.4", ratelimiter.Limits{RPM: 500}),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, model := range []string{"gpt-5.4", "gpt-5.4-mini"} {
		_, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: model})
		var rejection *ratelimiter.Error
		fmt.Println(model, errors.As(err, &rejection))
		if rejection != nil {
			fmt.Printf("%s: the limit of %s is %d\n", rejection.Owner, rejection.Unit, rejection.Limit)
		}
	}
	// Output:
	// gpt-5.4 false
	// gpt-5.4-mini true
	// account: the limit of requests is 1
}

// Weights share what there is, and ceilings bound it: a nightly batch gets at most 20,000 tokens
// a minute of all models together, even while nobody else needs them.
func ExampleWithClasses() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithMaxWait(0),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{
			"interactive": {Weight: 100},
			"batch":       {Weight: 1, Limits: ratelimiter.Limits{TPM: 20_000}},
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []struct{ class, model string }{
		{"batch", "gpt-5.4"}, {"batch", "gpt-5.4-mini"}, {"batch", "gpt-5.4-nano"}, {"interactive", "gpt-5.4-nano"},
	} {
		ctx := ratelimiter.ContextWithClass(context.Background(), call.class)
		_, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: call.model, Tokens: 15_000})
		fmt.Println(call.class, call.model, "would have to wait:", errors.Is(err, ratelimiter.ErrMaxWait))
	}
	// Output:
	// batch gpt-5.4 would have to wait: false
	// batch gpt-5.4-mini would have to wait: false
	// batch gpt-5.4-nano would have to wait: true
	// interactive gpt-5.4-nano would have to wait: false
}

// A 429 that asks for an hour pauses the model for a minute. Then calls are tried again.
func ExampleWithMaxPause() {
	limiter, err := ratelimiter.New(ratelimiter.WithMaxPause(time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := openaitest.New(openaitest.WithLimits("gpt-5.4-mini", openaitest.Limits{RPM: 500, TPM: 200_000}))
	srv.Inject(1, openaitest.Answer{Status: 429, RetryAfter: time.Hour})
	resp, err := limiter.Client(srv.Direct()).Post("https://api.openai.com/v1/responses", "application/json",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	state, err := limiter.State(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, state.Scopes[0].Paused.Round(time.Second))
	// Output: 429 1m0s
}

// Warnings go to a logger of the program's own: here of a model whose name may be misspelt, and
// of calls that have waited for ten seconds.
func ExampleWithWarnings() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "account" {
				return slog.Attr{}
			}
			return a
		},
	}))
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"), ratelimiter.WithWarnings(logger, 10*time.Second),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-minni"})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Cancel()
	// Output:
	// level=WARN msg="ratelimiter: no limits are configured for this model, only for others" ratelimiter.model=gpt-5.4-minni ratelimiter.configured=[gpt-5.4-mini]
}

// A long prompt is estimated, unless all of it is to be counted.
func ExampleWithExactCounts() {
	prompt := strings.Repeat("The lighthouse stands on a rock, and nobody lives in it. ", 1_000)
	call := ratelimiter.Embedding{Model: "text-embedding-3-small", Input: []string{prompt}}
	var tokens [2]int64
	for i, options := range [][]ratelimiter.Option{nil, {ratelimiter.WithExactCounts()}} {
		limiter, err := ratelimiter.New(append(options, ratelimiter.WithAccount("team"))...)
		if err != nil {
			fmt.Println(err)
			return
		}
		r, err := limiter.Acquire(context.Background(), call)
		if err != nil {
			fmt.Println(err)
			return
		}
		tokens[i] = r.Cost().Tokens
		r.Cancel()
	}
	fmt.Printf("estimated %d, counted %d\n", tokens[0], tokens[1])
	// Output: estimated 14025, counted 14001
}

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

// Two keys of one account share its budget once the account has a name. Otherwise each key
// would have a budget of its own.
func ExampleWithAccount() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPD: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(openaitest.New().Direct())
	for _, key := range []string{"sk-one", "sk-two"} {
		if err := ask(client, key); err != nil {
			fmt.Println(err)
			return
		}
	}
	state, err := limiter.State(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Account, state.Scopes[0].Limits[0].Remaining)
	// Output: team 998
}

// An account without a name is called by its host and a digest of its key, also in Redis. A
// secret of the program's own keeps others from testing guessed keys against that.
func ExampleWithDigestKey() {
	limiter, err := ratelimiter.New(ratelimiter.WithDigestKey([]byte("from where secrets are kept")))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ask(limiter.Client(openaitest.New().Direct()), "sk-one"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(limiter.Accounts())
	// Output: [api.openai.com/3ce7e16eed54c11ccc9df4ca47454e41]
}
