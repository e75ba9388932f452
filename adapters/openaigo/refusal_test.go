package openaigo_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What the limiter refuses is one attempt that ends at once, is never sent and
// keeps its type in the SDK's error, plain and streamed.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		max     int64
		options []ratelimiter.Option
		context func(context.Context) (context.Context, context.CancelFunc)
		request []option.RequestOption
		reason  error
		message string
	}{{
		name: "too large", max: 31_526,
		reason:  ratelimiter.ErrTooLarge,
		message: "ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 (x-ratelimit-limit-tokens, 12s ago): shorten the input or lower max_tokens",
	}, {
		name: "max wait", max: 29_000,
		options: []ratelimiter.Option{ratelimiter.WithMaxWait(10 * time.Second)},
		reason:  ratelimiter.ErrMaxWait,
	}, {
		name: "max wait of the context", max: 29_000,
		context: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ratelimiter.ContextWithMaxWait(ctx, 0), func() {}
		},
		reason: ratelimiter.ErrMaxWait,
	}, {
		name: "deadline", max: 29_000,
		context: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 10*time.Second)
		},
		reason: ratelimiter.ErrDeadline,
	}, {
		name: "the SDK's request timeout", max: 29_000,
		request: []option.RequestOption{option.WithRequestTimeout(10 * time.Second)},
		reason:  ratelimiter.ErrDeadline,
	}}
	for _, test := range tests {
		for _, how := range how {
			t.Run(test.name+"/"+how.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 100, TPM: 30_000}))
					defer srv.Close()
					b := &book{}
					limiter := newLimiter(t, b, test.options...)
					client := newClient(limiter, b.count(srv.Transport()), pipeURL)
					// One answer tells the limits; the next one empties the bucket.
					for _, max := range []int64{1, 29_900} {
						srv.Inject(1, openaitest.Answer{OutputTokens: max})
						if err := how.call(t.Context(), client, chat(max)); err != nil {
							t.Fatal(err)
						}
						time.Sleep(12 * time.Second)
					}
					ctx := t.Context()
					if test.context != nil {
						var cancel context.CancelFunc
						ctx, cancel = test.context(ctx)
						defer cancel()
					}
					start, sent := time.Now(), b.sent()
					err := how.call(ctx, client, chat(test.max), test.request...)

					var refusal *ratelimiter.Error
					if !errors.As(err, &refusal) || !errors.Is(err, test.reason) {
						t.Fatalf("error %v, want %v", err, test.reason)
					}
					if test.message != "" && err.Error() != test.message {
						t.Errorf("message: %v", err)
					}
					if deadline := test.reason == ratelimiter.ErrDeadline; errors.Is(err, context.DeadlineExceeded) != deadline {
						t.Errorf("%v is DeadlineExceeded: %t", err, !deadline)
					}
					if took := time.Since(start); took != 0 || b.sent() != sent {
						t.Errorf("%d requests were sent in %v", b.sent()-sent, took)
					}
					b.last(t, sent) // nothing was charged
				})
			})
		}
	}
}

// A wait whose end can't be foreseen is given up a little before the deadline,
// so that the SDK, which returns a bare context error afterwards, still hands
// out the reason.
func TestDeadlineDuringTheWait(t *testing.T) {
	for _, how := range how {
		for _, request := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 600, TPM: 6_000}),
					openaitest.WithRefunds(true), openaitest.WithLatency(50*time.Second, time.Minute))
				defer srv.Close()
				limiter := newLimiter(t, &book{}, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 600, TPM: 6_000}))
				client := newClient(limiter, srv.Transport(), pipeURL)
				holder, release := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- how.call(holder, client, chat(5_000)) }()
				synctest.Wait()

				// The tokens in flight may come back any moment.
				ctx, options := t.Context(), []option.RequestOption{option.WithRequestTimeout(20 * time.Second)}
				if !request {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 20*time.Second)
					defer cancel()
					options = nil
				}
				start := time.Now()
				err := how.call(ctx, client, chat(5_900), options...)
				var refusal *ratelimiter.Error
				if !errors.As(err, &refusal) || !errors.Is(err, ratelimiter.ErrDeadline) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took < 19*time.Second || took >= 20*time.Second {
					t.Errorf("it gave up after %v", took)
				}
				release()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
	}
}

// A caller that gives up gets its context's error.
func TestCancelDuringTheWait(t *testing.T) {
	for _, how := range how {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New()
			defer srv.Close()
			b := &book{}
			limiter := newLimiter(t, b, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
			client := newClient(limiter, b.count(srv.Transport()), pipeURL)
			if err := how.call(t.Context(), client, chat(1)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if err := how.call(ctx, client, chat(1)); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if b.sent() != 1 {
				t.Errorf("%d requests were sent", b.sent())
			}
			b.last(t, 1)
		})
	}
}

// Only refusals by the limiter are answered for the SDK: the network's errors
// and the server's 429s are tried again as ever.
func TestOtherFailuresAreRetried(t *testing.T) {
	for _, how := range how {
		t.Run("network/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := errors.New("broken")
				b := &book{}
				base := b.count(roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, broken }))
				client := newClient(newLimiter(t, b), base, pipeURL)
				if err := how.call(t.Context(), client, chat(1)); !errors.Is(err, broken) {
					t.Errorf("error %v", err)
				}
				if b.sent() != 3 {
					t.Errorf("%d attempts", b.sent())
				}
				b.last(t, 3)
			})
		})
		t.Run("429/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 100, TPM: 30_000}))
				defer srv.Close()
				srv.Inject(2, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: 3 * time.Second})
				b := &book{}
				client := newClient(newLimiter(t, b), b.count(srv.Transport()), pipeURL)
				start := time.Now()
				if err := how.call(t.Context(), client, chat(1)); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took < 6*time.Second || b.sent() != 3 {
					t.Errorf("%d attempts in %v", b.sent(), took)
				}
				b.last(t, 3)
			})
		})
		t.Run("quota/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New()
				defer srv.Close()
				srv.Inject(3, openaitest.InsufficientQuota())
				client := newClient(newLimiter(t, &book{}), srv.Transport(), pipeURL)
				err := how.call(t.Context(), client, chat(1))
				var answer *openai.Error
				if !errors.As(err, &answer) || answer.Code != "insufficient_quota" {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// Parameters that can't be marshaled fail as early as in the SDK.
func TestParamsThatCannotBeMarshaled(t *testing.T) {
	params := chat(1)
	params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "f", Parameters: openai.FunctionParameters{"impossible": func() {}},
	})}
	limiter := newLimiter(t, &book{})
	r, err := limiter.Acquire(t.Context(), openaigo.Chat(params))
	if err == nil {
		r.Cancel()
		t.Fatal("no error")
	}
	if _, marshal := params.MarshalJSON(); !strings.Contains(err.Error(), marshal.Error()) {
		t.Errorf("error %v, want %v", err, marshal)
	}
}
