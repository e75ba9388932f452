package goopenai_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What the limiter refuses ends at once, is never sent and keeps its type in
// the SDK's error, plain and streamed.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		max     int
		options []ratelimiter.Option
		context func(context.Context) (context.Context, context.CancelFunc)
		reason  error
		message string
	}{{
		name: "too large", max: 31_526,
		reason:  ratelimiter.ErrTooLarge,
		message: `Post "http://api.test/v1/chat/completions": ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 (x-ratelimit-limit-tokens, 12s ago): shorten the input or lower max_tokens`,
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
	}}
	for _, test := range tests {
		for _, how := range how {
			t.Run(test.name+"/"+how.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 100, TPM: 30_000}))
					defer srv.Close()
					b := &book{}
					client := newClient(newLimiter(t, b, test.options...), &http.Client{Transport: b.count(srv.Transport())}, pipeURL)
					// One answer tells the limits; the next one empties the bucket.
					for _, max := range []int{1, 29_900} {
						srv.Inject(1, openaitest.Answer{OutputTokens: int64(max)})
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
					err := how.call(ctx, client, chat(test.max))

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

// A wait whose end can't be foreseen is given up a little before the deadline.
func TestDeadlineDuringTheWait(t *testing.T) {
	for _, how := range how {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLatency(50*time.Second, time.Minute))
			defer srv.Close()
			limiter := newLimiter(t, &book{}, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 600, TPM: 6_000}))
			client := newClient(limiter, srv.Client(), pipeURL)
			holder, release := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- how.call(holder, client, chat(5_000)) }()
			synctest.Wait()

			// The tokens in flight may come back any moment.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			start := time.Now()
			err := how.call(ctx, client, chat(5_900))
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

// marginTime is in which the margin that is left refills.
const marginTime = 400 * time.Millisecond

// A call that finds too little of its budget starts at the moment there is
// enough, beside the margin: when it has refilled, or when a call in flight gives
// back.
func TestWaitEndsWhenTheBudgetIsFree(t *testing.T) {
	tests := []struct {
		name   string
		answer time.Duration // when the call ahead ends, and gives back
		starts time.Duration
	}{
		// 6,000 − 5,912 = 88 are left, 200 are needed, 100 refill in a second.
		{"refill", time.Minute, 1120 * time.Millisecond},
		{"refund", 500 * time.Millisecond, 500 * time.Millisecond},
	}
	for _, test := range tests {
		for _, how := range how {
			t.Run(test.name+"/"+how.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var admitted []time.Time
					srv := openaitest.New(
						openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 600, TPM: 6_000}),
						openaitest.WithRefunds(true),
						openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return c.PromptTokens }),
						openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
							if c.Declared == 5_900 {
								return openaitest.Timing{Total: test.answer}
							}
							return openaitest.Timing{}
						}),
						openaitest.WithLog(func(r openaitest.Record) {
							if r.Outcome != openaitest.Completed {
								t.Errorf("%+v", r)
							}
						}),
						openaitest.WithHeader(func(c *openaitest.Call, _ int, _ http.Header) {
							if c.Declared == 188 {
								admitted = append(admitted, time.Now())
							}
						}))
					defer srv.Close()
					limiter := newLimiter(t, &book{}, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 600, TPM: 6_000}))
					client := newClient(limiter, srv.Client(), pipeURL)
					for range 100 { // so many answers leave little to allow for
						if err := how.call(t.Context(), client, chat(1)); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Hour) // the opening is over

					start := time.Now()
					var wg sync.WaitGroup
					wg.Go(func() {
						if err := how.call(t.Context(), client, chat(5_900)); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
					if err := how.call(t.Context(), client, chat(188)); err != nil {
						t.Error(err)
					}
					wg.Wait()
					if len(admitted) != 1 {
						t.Fatalf("%d calls", len(admitted))
					}
					if at := admitted[0].Sub(start); at < test.starts || at > test.starts+marginTime {
						t.Errorf("it started after %v, want %v to %v later", at, test.starts, marginTime)
					}
				})
			})
		}
	}
}

// However a stream ends, its call is settled once, and as soon as the SDK is
// done with it, although go-openai never reads to the end of one.
func TestStreamsSettleOnce(t *testing.T) {
	const declared, prompt = 80, 12
	type closer interface{ Close() error }
	tests := []struct {
		name  string
		cut   bool
		end   func(s closer, cancel context.CancelFunc) // after the first delta; nil reads on
		final int64                                     // tokens; what was declared where the stream is cut short
	}{
		{name: "whole, not closed", final: prompt + declared/4},
		{name: "close", final: prompt + declared, end: func(s closer, _ context.CancelFunc) { _ = s.Close() }},
		{name: "cancel", final: prompt + declared, end: func(_ closer, cancel context.CancelFunc) { cancel() }},
		{name: "cut", final: prompt + declared, cut: true},
	}
	for _, test := range tests {
		for _, usage := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					answer := openaitest.Answer{Deltas: declared / 4} // a token each
					if test.cut {
						answer.Cut, answer.After = true, 1_000
					}
					srv := openaitest.New(openaitest.WithLatency(time.Second, 9*time.Second),
						openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return answer }))
					defer srv.Close()
					b := &book{}
					client := newClient(newLimiter(t, b), srv.Client(), pipeURL)
					request := chat(declared)
					if usage {
						request.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s, err := client.CreateChatCompletionStream(ctx, request)
					if err != nil {
						t.Fatal(err)
					}
					for {
						chunk, err := s.Recv()
						if err != nil {
							break
						}
						if test.end != nil && len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
							test.end(s, cancel)
						}
					}
					synctest.Wait()
					settled := b.last(t, 1)
					if settled.Final.Tokens != test.final || settled.Final.Requests != 1 {
						t.Errorf("final %+v, want %d tokens", settled.Final, test.final)
					}
					if said := test.final < declared && usage; settled.HasUsage != said {
						t.Errorf("usage %+v, said %t", settled.Usage, settled.HasUsage)
					}
					_ = s.Close()
					synctest.Wait()
					b.last(t, 1)
				})
			})
		}
	}
}

// The client that the config had is used whole: its Timeout begins after the
// wait, its cookies and its errors are as before.
func TestTheClientStaysAsItWas(t *testing.T) {
	for _, how := range how {
		t.Run("timeout/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLatency(time.Second, 2*time.Second))
				defer srv.Close()
				b := &book{}
				limiter := newLimiter(t, b, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
				client := newClient(limiter, &http.Client{Transport: srv.Transport(), Timeout: 5 * time.Second}, pipeURL)
				start := time.Now()
				for range 2 {
					if err := how.call(t.Context(), client, chat(1)); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(start); took < 50*time.Second {
					t.Errorf("the second call has waited for %v", took)
				}
				srv.Inject(1, openaitest.Answer{Stall: time.Hour})
				err := how.call(t.Context(), client, chat(1))
				var timeout interface{ Timeout() bool }
				if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("error %v", err)
				}
				if n := strings.Count(err.Error(), "Post "); n != 1 {
					t.Errorf("message: %v", err)
				}
				b.last(t, 3)
			})
		})
	}
	t.Run("cookies", func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(&url.URL{Scheme: "http", Host: "api.test"}, []*http.Cookie{{Name: "session", Value: "1"}})
		var sent []*http.Cookie
		srv := openaitest.New(openaitest.WithHeader(func(c *openaitest.Call, _ int, _ http.Header) { sent = c.Request.Cookies() }))
		client := newClient(newLimiter(t, &book{}), &http.Client{Transport: srv.Direct(), Jar: jar}, pipeURL)
		if _, err := client.CreateChatCompletion(t.Context(), chat(1)); err != nil {
			t.Fatal(err)
		}
		if len(sent) != 1 {
			t.Errorf("cookies %v", sent)
		}
	})
	t.Run("own HTTPDoer", func(t *testing.T) {
		broken := errors.New("broken")
		client := newClient(newLimiter(t, &book{}), doFunc(func(*http.Request) (*http.Response, error) { return nil, broken }), pipeURL)
		if _, err := client.CreateChatCompletion(t.Context(), chat(1)); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("idle connections", func(t *testing.T) {
		closed := 0
		config := openai.DefaultConfig("key")
		config.HTTPClient = idleCloser{func() { closed++ }}
		goopenai.WithLimiter(config, newLimiter(t, &book{})).HTTPClient.(*http.Client).CloseIdleConnections()
		if closed != 1 {
			t.Error("not passed on")
		}
	})
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(req *http.Request) (*http.Response, error) { return f(req) }

type idleCloser struct{ close func() }

func (idleCloser) Do(*http.Request) (*http.Response, error) { return nil, errors.New("unused") }
func (c idleCloser) CloseIdleConnections()                  { c.close() }

// On Azure the budget is the deployment's and belongs to the resource, whatever
// the key.
func TestAzure(t *testing.T) {
	for _, how := range how {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits("gpt-35-turbo", openaitest.Limits{RPM: 60, TPM: 6_000}))
			defer srv.Close()
			limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-35-turbo", ratelimiter.Limits{RPM: 60, TPM: 6_000}))
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"one", "two"} {
				config := openai.DefaultAzureConfig(key, "http://resource.openai.azure.com")
				config.APIVersion, config.HTTPClient = "2024-10-21", srv.Client()
				client := openai.NewClientWithConfig(goopenai.WithLimiter(config, limiter))
				request := chat(80)
				request.Model = openai.GPT3Dot5Turbo // its deployment is called gpt-35-turbo
				for range 40 {
					if err := how.call(t.Context(), client, request); err != nil {
						t.Fatal(err)
					}
				}
			}
			if a := srv.Account("gpt-35-turbo"); a.Refused != 0 || a.Admitted != 80 {
				t.Errorf("%+v", a)
			}
			state, err := limiter.State(t.Context())
			if err != nil || state.Account != "resource.openai.azure.com" || len(state.Scopes) != 1 || state.Scopes[0].Model != "gpt-35-turbo" {
				t.Errorf("%+v, error %v", state, err)
			}
		})
	}
}

// Requests that can't be marshaled fail as early as in the SDK.
func TestRequestsThatCannotBeMarshaled(t *testing.T) {
	request := chat(1)
	request.Messages[0].MultiContent = []openai.ChatMessagePart{{Type: openai.ChatMessagePartTypeText, Text: "x"}}
	r, err := newLimiter(t, &book{}).Acquire(t.Context(), goopenai.Chat(request))
	if err == nil {
		r.Cancel()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), openai.ErrContentFieldsMisused.Error()) {
		t.Errorf("error %v", err)
	}
}
