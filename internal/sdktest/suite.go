package sdktest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Run is the suite that every adapter runs.
func Run(t *testing.T, sdk SDK) {
	for name, test := range map[string]func(*testing.T, SDK){
		"Recording":                   recording,
		"Accounts":                    accounts,
		"StateFollowsTheServer":       stateFollowsTheServer,
		"Rejections":                  rejections,
		"DeadlineDuringTheWait":       deadlineDuringTheWait,
		"CancelDuringTheWait":         cancelDuringTheWait,
		"WaitEndsWhenItsBudgetIsFree": waitEndsWhenItsBudgetIsFree,
		"StreamsSettleOnce":           streamsSettleOnce,
		"StreamsHoldTheirSlot":        streamsHoldTheirSlot,
		"Azure":                       azure,
	} {
		t.Run(name, func(t *testing.T) { test(t, sdk) })
	}
}

// accounts: what the limiter has charged for each kind of call, and left charged
// after it, is what the server charged: requests and images to the unit, tokens too
// where both count the prompt alike. Over HTTP/1.1 and HTTP/2.
func accounts(t *testing.T, sdk SDK) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", version), func(t *testing.T) {
			var mu sync.Mutex
			var records []openaitest.Record
			srv := openaitest.New(
				openaitest.WithLimits("", openaitest.Limits{RPM: 1_000, TPM: 1_000_000, IPM: 1_000}),
				openaitest.WithRefunds(true),
				openaitest.WithUndeclared(openaitest.Flat16ThenDebit),
				openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return c.PromptTokens }),
				openaitest.WithAnswer(deltaForEachToken),
				openaitest.WithLog(func(r openaitest.Record) {
					mu.Lock()
					defer mu.Unlock()
					records = append(records, r)
				}))
			ts := httptest.NewUnstartedServer(srv)
			ts.EnableHTTP2 = version == 2
			ts.StartTLS()
			defer ts.Close()

			b := &Book{}
			limiter := NewLimiter(t, b)
			client := sdk.Limited(limiter, ts.Client().Transport, ts.URL+"/v1/")
			total := map[string]ratelimiter.Cost{}
			for i, d := range sdk.Drives {
				if err := d.Make(t.Context(), client); err != nil {
					t.Fatalf("%s: %v", d.Name, err)
				}
				s := b.Last(t, i+1)
				mu.Lock()
				r := records[i]
				mu.Unlock()
				if d.Declared && s.Charged.Tokens != r.Cost.Tokens {
					t.Errorf("%s: charged %d tokens, the server charged %d", d.Name, s.Charged.Tokens, r.Cost.Tokens)
				}
				if left := r.Cost.Tokens - r.Refunded.Tokens + r.Debited; s.Final.Tokens != left {
					t.Errorf("%s: %d tokens stay charged, at the server %d", d.Name, s.Final.Tokens, left)
				}
				if s.Final.Requests != r.Cost.Requests || s.Final.Images != r.Cost.Images {
					t.Errorf("%s: %+v, at the server %+v", d.Name, s.Final, r.Cost)
				}

				// Without HTTP the same call costs the same.
				reservation, err := limiter.Acquire(t.Context(), d.Call)
				if err != nil {
					t.Fatalf("%s: %v", d.Name, err)
				}
				if cost := reservation.Cost(); d.Declared && cost != s.Charged {
					t.Errorf("%s: Acquire charged %+v, the Transport %+v", d.Name, cost, s.Charged)
				}
				reservation.Cancel()
				b.mu.Lock()
				b.settled = b.settled[:i+1]
				b.mu.Unlock()

				sum := total[s.Model]
				sum.Requests += s.Final.Requests
				sum.Tokens += s.Final.Tokens
				sum.Images += s.Final.Images
				total[s.Model] = sum
			}
			for model, sum := range total {
				a := srv.Account(model)
				got := [3]int64{sum.Requests, sum.Tokens, sum.Images}
				want := [3]int64{a.Bucket(openaitest.RPM).Net(), a.Bucket(openaitest.TPM).Net(), a.Bucket(openaitest.IPM).Net()}
				if got != want || a.Throttled != 0 {
					t.Errorf("%s: requests, tokens, images %d, at the server %d, %d throttled", model, got, want, a.Throttled)
				}
			}
		})
	}
}

// deltaForEachToken is for a stream whose usage is not asked for.
func deltaForEachToken(c *openaitest.Call) openaitest.Answer {
	return openaitest.Answer{Deltas: int(max(c.Declared/4, 1))}
}

// stateFollowsTheServer: where the server counts prompts by its own rule, and output
// that nobody declared in one of three ways, State still says what the server's
// buckets say, but for what these two may differ by.
func stateFollowsTheServer(t *testing.T, sdk SDK) {
	limits := map[string]openaitest.Limit{"rpm": openaitest.RPM, "tpm": openaitest.TPM, "ipm": openaitest.IPM}
	for _, undeclared := range []openaitest.Undeclared{openaitest.Flat16, openaitest.Flat16ThenDebit, openaitest.DebitWhole} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			differ := map[string]int64{} // tokens of a model, at most
			srv := openaitest.New(
				openaitest.WithLimits("", openaitest.Limits{RPM: 60, TPM: 6_000, IPM: 60}),
				openaitest.WithRefunds(true), openaitest.WithUndeclared(undeclared),
				openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 {
					mu.Lock()
					defer mu.Unlock()
					differ[c.Model] += max(c.PromptTokens-c.PromptEstimate, c.PromptEstimate-c.PromptTokens)
					return c.PromptEstimate
				}),
				openaitest.WithAnswer(deltaForEachToken),
				openaitest.WithLog(func(r openaitest.Record) {
					mu.Lock()
					defer mu.Unlock()
					if r.Endpoint == "chat/completions" && undeclared == openaitest.Flat16 {
						differ[r.Model] += max(0, r.OutputTokens-16)
					}
				}))
			defer srv.Close()
			b := &Book{}
			limiter := NewLimiter(t, b, ratelimiter.WithLimits("dall-e-2", ratelimiter.Limits{IPM: 60}))
			client := sdk.Limited(limiter, srv.Transport(), PipeURL)
			models := map[string]bool{}
			for i, d := range sdk.Drives {
				if err := d.Make(t.Context(), client); err != nil {
					t.Fatalf("%s: %v", d.Name, err)
				}
				models[b.Last(t, i+1).Model] = true
			}

			state, err := limiter.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, scope := range state.Scopes {
				for _, l := range scope.Limits {
					seen++
					used := float64(l.Limit - l.Remaining)
					there := srv.Account(scope.Model).Bucket(limits[l.Name])
					allowed := 1.0 // Remaining is a whole number
					if l.Name == "tpm" {
						allowed += float64(differ[scope.Model])
					}
					if math.Abs(used-there.Used) > allowed || l.Limit != there.Capacity {
						t.Errorf("%s, %s: %v of %d used, at the server %v of %d", scope.Model, l.Name, used, l.Limit, there.Used, there.Capacity)
					}
				}
			}
			if seen < 2*len(models) {
				t.Errorf("State told %d limits of %d models: %+v", seen, len(models), state)
			}
		})
	}
}

// rejections: what the limiter rejects is one attempt that ends at once, is never
// sent and keeps its type in the SDK's error, plain and streamed.
func rejections(t *testing.T, sdk SDK) {
	tests := []struct {
		name    string
		max     int64
		options []ratelimiter.Option
		context func(context.Context) (context.Context, context.CancelFunc)
		bounded time.Duration // by the SDK
		reason  error
		message string
	}{{
		name: "too large", max: 31_526,
		reason:  ratelimiter.ErrTooLarge,
		message: "ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 per minute (x-ratelimit-limit-tokens, 12s ago): shorten the input or lower max_tokens",
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
		bounded: 10 * time.Second,
		reason:  ratelimiter.ErrDeadline,
	}}
	for _, test := range tests {
		if test.bounded > 0 && sdk.Bounded == nil {
			continue
		}
		for _, way := range ways {
			t.Run(test.name+"/"+way.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits(Model, openaitest.Limits{RPM: 100, TPM: 30_000}))
					defer srv.Close()
					b := &Book{}
					limiter := NewLimiter(t, b, test.options...)
					base := b.Count(srv.Transport())
					client := sdk.Limited(limiter, base, PipeURL)
					// One answer tells the limits; the next one empties the bucket.
					for _, max := range []int64{1, 29_900} {
						srv.Inject(1, openaitest.Answer{OutputTokens: max})
						if err := way.call(t.Context(), client, Chat{MaxTokens: max}); err != nil {
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
					if test.bounded > 0 {
						client = sdk.Bounded(limiter, base, PipeURL, test.bounded)
					}
					start, sent := time.Now(), b.Sent()
					err := way.call(ctx, client, Chat{MaxTokens: test.max})

					var rejected *ratelimiter.Error
					if !errors.As(err, &rejected) || !errors.Is(err, test.reason) {
						t.Fatalf("error %v, want %v", err, test.reason)
					}
					if test.message != "" && err.Error() != sdk.Wrapped+test.message {
						t.Errorf("message: %v", err)
					}
					if deadline := test.reason == ratelimiter.ErrDeadline; errors.Is(err, context.DeadlineExceeded) != deadline {
						t.Errorf("%v is DeadlineExceeded: %t", err, !deadline)
					}
					if took := time.Since(start); took != 0 || b.Sent() != sent {
						t.Errorf("%d requests were sent in %v", b.Sent()-sent, took)
					}
					b.Last(t, sent) // nothing was charged
				})
			})
		}
	}
}

// deadlineDuringTheWait: a wait whose end can't be foreseen is given up a little
// before the deadline, so that an SDK that returns a bare context error afterwards
// still hands out the reason.
func deadlineDuringTheWait(t *testing.T, sdk SDK) {
	const allowed = 20 * time.Second
	for _, way := range ways {
		for _, bounded := range []bool{false, true} {
			if bounded && sdk.Bounded == nil {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits(Model, openaitest.Limits{RPM: 600, TPM: 6_000}),
					openaitest.WithRefunds(true), openaitest.WithLatency(50*time.Second, time.Minute))
				defer srv.Close()
				limiter := NewLimiter(t, &Book{}, ratelimiter.WithLimits(Model, ratelimiter.Limits{RPM: 600, TPM: 6_000}))
				client := sdk.Limited(limiter, srv.Transport(), PipeURL)
				holder, release := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- way.call(holder, client, Chat{MaxTokens: 5_000}) }()
				synctest.Wait()

				// The tokens in flight may come back any moment.
				ctx := t.Context()
				if bounded {
					client = sdk.Bounded(limiter, srv.Transport(), PipeURL, allowed)
				} else {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, allowed)
					defer cancel()
				}
				start := time.Now()
				err := way.call(ctx, client, Chat{MaxTokens: 5_900})
				var rejected *ratelimiter.Error
				if !errors.As(err, &rejected) || !errors.Is(err, ratelimiter.ErrDeadline) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took < allowed-time.Second || took >= allowed {
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

// cancelDuringTheWait: a caller that gives up gets its context's error.
func cancelDuringTheWait(t *testing.T, sdk SDK) {
	for _, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New()
			defer srv.Close()
			b := &Book{}
			limiter := NewLimiter(t, b, ratelimiter.WithLimits(Model, ratelimiter.Limits{RPM: 1}))
			client := sdk.Limited(limiter, b.Count(srv.Transport()), PipeURL)
			if err := way.call(t.Context(), client, Chat{MaxTokens: 1}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			if err := way.call(ctx, client, Chat{MaxTokens: 1}); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
			if b.Sent() != 1 {
				t.Errorf("%d requests were sent", b.Sent())
			}
			b.Last(t, 1)
		})
	}
}

// waitEndsWhenItsBudgetIsFree: a call that finds too little of its budget starts at
// the moment there is enough, beside the margin: when it has refilled, or when a call
// in flight gives back.
func waitEndsWhenItsBudgetIsFree(t *testing.T, sdk SDK) {
	const marginTime = 400 * time.Millisecond // in which the margin that is left refills
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
		for _, way := range ways {
			t.Run(test.name+"/"+way.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var admitted []time.Time
					srv := openaitest.New(
						openaitest.WithLimits(Model, openaitest.Limits{RPM: 600, TPM: 6_000}),
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
					limiter := NewLimiter(t, &Book{}, ratelimiter.WithLimits(Model, ratelimiter.Limits{RPM: 600, TPM: 6_000}))
					client := sdk.Limited(limiter, srv.Transport(), PipeURL)
					for range 100 { // so many answers leave little to allow for
						if err := way.call(t.Context(), client, Chat{MaxTokens: 1}); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Hour) // the opening is over

					start := time.Now()
					var wg sync.WaitGroup
					wg.Go(func() {
						if err := way.call(t.Context(), client, Chat{MaxTokens: 5_900}); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
					if err := way.call(t.Context(), client, Chat{MaxTokens: 188}); err != nil {
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

// streamsSettleOnce: however a stream ends, its call is settled once, and as soon as
// the SDK is done with it: at [DONE], when the caller closes it, when the context
// ends, when the connection breaks.
func streamsSettleOnce(t *testing.T, sdk SDK) {
	const declared, prompt = 80, PromptTokens
	tests := []struct {
		name  string
		cut   bool
		end   func(s Stream, cancel context.CancelFunc) // after the first delta; nil reads on
		err   error
		final int64 // tokens; what was declared where the stream is cut short
	}{
		{name: "whole", final: prompt + declared/4},
		{name: "close", final: prompt + declared, end: func(s Stream, _ context.CancelFunc) { _ = s.Close() }},
		{name: "cancel", final: prompt + declared, err: context.Canceled, end: func(_ Stream, cancel context.CancelFunc) { cancel() }},
		{name: "cut", final: prompt + declared, cut: true},
	}
	for _, test := range tests {
		for _, usage := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/usage=%t", test.name, usage), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					answer := openaitest.Answer{Deltas: declared / 4} // a token each
					if test.cut {
						answer.Cut, answer.After = true, 1_000
					}
					srv := openaitest.New(openaitest.WithLatency(time.Second, 9*time.Second),
						openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return answer }))
					defer srv.Close()
					b := &Book{}
					client := sdk.Limited(NewLimiter(t, b), srv.Transport(), PipeURL)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s := client.Stream(ctx, Chat{MaxTokens: declared, Usage: usage})
					for s.Next() {
						if s.Text() != "" && test.end != nil {
							test.end(s, cancel)
							break
						}
					}
					if test.name == "cancel" && s.Next() {
						t.Error("a chunk after the context had ended")
					}
					if err := s.Err(); test.cut && err == nil || !test.cut && !errors.Is(err, test.err) {
						t.Errorf("error %v", err)
					}
					synctest.Wait()
					settled := b.Last(t, 1)
					if settled.Final.Tokens != test.final || settled.Final.Requests != 1 {
						t.Errorf("final %+v, want %d tokens", settled.Final, test.final)
					}
					if said := test.name == "whole" && usage; settled.HasUsage != said {
						t.Errorf("usage %+v, said %t", settled.Usage, settled.HasUsage)
					}
					_ = s.Close()
					synctest.Wait()
					b.Last(t, 1)
				})
			})
		}
	}
}

// azure: on a deployment the budget is the deployment's and belongs to the resource,
// whatever the key.
func azure(t *testing.T, sdk SDK) {
	for _, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits(sdk.Deployment, openaitest.Limits{RPM: 60, TPM: 6_000}))
			defer srv.Close()
			limiter, err := ratelimiter.New(ratelimiter.WithLimits(sdk.Deployment, ratelimiter.Limits{RPM: 60, TPM: 6_000}))
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"one", "two"} {
				client := sdk.Azure(limiter, srv, key)
				for range 40 {
					if err := way.call(t.Context(), client, Chat{MaxTokens: 80}); err != nil {
						t.Fatal(err)
					}
				}
				var rejected *ratelimiter.Error
				if err := way.call(t.Context(), client, Chat{MaxTokens: 6_000}); !errors.As(err, &rejected) {
					t.Errorf("error %v", err)
				}
			}
			if a := srv.Account(sdk.Deployment); a.Throttled != 0 || a.Admitted != 80 {
				t.Errorf("%+v", a)
			}
			state, err := limiter.State(t.Context())
			if err != nil || state.Account != AzureHost || len(state.Scopes) != 1 || state.Scopes[0].Model != sdk.Deployment {
				t.Errorf("%+v, error %v", state, err)
			}
		})
	}
}
