package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

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
	// ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 per minute (configured): shorten the input or lower max_tokens
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

// A service that ends shuts down its limiter before its server. The server waits for its
// handlers, and those for calls in line; the limiter rejects these at once. The second
// Shutdown of the limiter waits until what the last handlers have used is known to the backend.
func ExampleLimiter_Shutdown() {
	waits := make(chan struct{})
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { close(waits) }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-4o"}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r, err := limiter.Acquire(req.Context(), call)
		if errors.Is(err, ratelimiter.ErrShutdown) {
			w.Header().Set("Retry-After", "1") // another process takes it
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		if err == nil {
			r.Settle(ratelimiter.Usage{}) // after the call
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(listener)
	answers := make(chan string)
	if r, err := limiter.Acquire(context.Background(), call); err == nil {
		defer r.Cancel() // the minute's only call
	}
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answers <- err.Error()
			return
		}
		resp.Body.Close()
		answers <- resp.Status
	}()
	<-waits // in a service: for a signal, with signal.NotifyContext

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = errors.Join(limiter.Shutdown(ctx), server.Shutdown(ctx), limiter.Shutdown(ctx))
	fmt.Println(<-answers, err)
	// Output: 503 Service Unavailable <nil>
}

// ask makes a call with a key.
func ask(client *http.Client, key string) error {
	req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/responses",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Without WithAccount, accounts are found in the requests. Their names are what State, Delay and
// Clear take, by ContextWithAccount.
func ExampleLimiter_Accounts() {
	limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPD: 1_000}))
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
	for _, account := range limiter.Accounts() {
		state, err := limiter.State(ratelimiter.ContextWithAccount(context.Background(), account))
		fmt.Println(len(state.Scopes), "model,", state.Scopes[0].Limits[0].Remaining, "requests remain,", err)
	}
	// Output:
	// 1 model, 999 requests remain, <nil>
	// 1 model, 999 requests remain, <nil>
}
