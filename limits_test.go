package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// reporting answers every call after took: with a 429 whose body states the limit of
// requests a minute, or with a success whose headers do.
func reporting(limit int, throttled bool, took time.Duration) http.RoundTripper {
	return roundTripFunc(func(*http.Request) (*http.Response, error) {
		time.Sleep(took)
		if throttled {
			return response(http.StatusTooManyRequests, "application/json", io.NopCloser(strings.NewReader(fmt.Sprintf(
				`{"error":{"message":"Rate limit reached for m in organization org-x on requests per min (RPM): Limit %d, Used %d, Requested 1. Please try again in 1ms.","type":"requests","code":"rate_limit_exceeded"}}`, limit, limit)))), nil
		}
		resp := response(http.StatusOK, "application/json", io.NopCloser(strings.NewReader(usageBody)))
		resp.Header[limitHeader+"Requests"] = []string{fmt.Sprint(limit)}
		resp.Header[leftHeader+"Requests"] = []string{fmt.Sprint(limit - 1)}
		resp.Header[resetHeader+"Requests"] = []string{(time.Minute / time.Duration(limit)).Truncate(time.Millisecond).String()}
		return resp, nil
	})
}

// What a server says counts from when the request was sent: reports on earlier requests
// that come late, in headers or in 429s, change nothing that later ones have told.
func TestLateReportsChangeNothing(t *testing.T) {
	for _, throttled := range []bool{false, true} {
		for _, tt := range []struct {
			name string
			late time.Duration
			want int64
		}{{"late", 10 * time.Second, 600}, {"in time", time.Millisecond, 300}} {
			t.Run(fmt.Sprintf("throttled=%t/%s", throttled, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
					warm(t, l, "m")
					send := func(n int, base http.RoundTripper) *sync.WaitGroup {
						var wg sync.WaitGroup
						for range n {
							wg.Go(func() { post(t, l.Client(base), chatURL, chatBody("m", 1, false)) })
						}
						return &wg
					}
					early := send(20, reporting(300, throttled, tt.late))
					if tt.late < time.Second {
						early.Wait()
						time.Sleep(time.Minute)
					} else {
						time.Sleep(5 * time.Second)
						send(20, reporting(600, false, time.Millisecond)).Wait()
						early.Wait()
					}
					if got := limitsOf(t, l, "m")["rpm"].Limit; got != tt.want {
						t.Errorf("%d requests a minute; want %d", got, tt.want)
					}
				})
			})
		}
	}
}

// A limit below what the server has just let through can't be the call's, however often
// it is told.
func TestLimitBelowWhatWasLetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 1_000_000}),
			openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
				h.Set(limitHeader+"Tokens", "500")
				h.Set(leftHeader+"Tokens", "400")
				h.Set(resetHeader+"Tokens", "12s")
			}))
		for _, configured := range []bool{false, true} {
			options := []ratelimiter.Option{ratelimiter.WithAccount("a")}
			if configured {
				options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1_000_000}))
			}
			l := newLimiter(t, options...)
			for range 20 {
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 5_000, false))
			}
			if got, ok := limitsOf(t, l, "m")["tpm"]; ok != configured || configured && got.Limit != 1_000_000 {
				t.Errorf("learned %+v", got)
			}
			// Of calls that are no larger it may be true.
			for range 20 {
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
			}
			if got := limitsOf(t, l, "m")["tpm"]; got.Limit != 500 {
				t.Errorf("learned %+v", got)
			}
		}
	})
}

// Where the server's bucket stood at the first report is where ours begins, once. A
// store that loses the bucket later begins with a full one, not with what was used
// long ago.
func TestFirstLevelIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}))
		srv.Spend("m", openaitest.Cost{Tokens: 50_000})
		s := newStore()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(s))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 100, false))
		synctest.Wait()
		if got := remaining(t, l, "m", "tpm"); got > 10_000 || got < 9_500 {
			t.Errorf("%d tokens remain; want what the server has left", got)
		}
		post(t, c, chatURL, chatBody("m", 100, false))
		synctest.Wait()
		if got := remaining(t, l, "m", "tpm"); got > 10_000 || got < 9_500 {
			t.Errorf("%d tokens remain; want what the server has left", got)
		}
		s.Backend = memory.New()
		if got := remaining(t, l, "m", "tpm"); got != 60_000 {
			t.Errorf("%d tokens remain in a store that has lost what was used; want all", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The headers of a 429 lack the tokens of the call that it refuses, which we have charged
// and give back: what is left is what they say.
func TestHeadersOfA429LackItsOwnTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000, TPM: 60_000}))
		warm(t, l, "m")
		c := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			// Its body has no figures.
			resp := response(http.StatusTooManyRequests, "application/json", io.NopCloser(strings.NewReader(`{"error":{"message":"Too many tokens","type":"tokens","code":"rate_limit_exceeded"}}`)))
			resp.Header[limitHeader+"Tokens"] = []string{"60000"}
			resp.Header[leftHeader+"Tokens"] = []string{"5000"}
			resp.Header[resetHeader+"Tokens"] = []string{"55s"}
			return resp, nil
		}))
		post(t, c, chatURL, chatBody("m", 20_000, false))
		if got := remaining(t, l, "m", "tpm"); got < 4_900 || got > 5_001 {
			t.Errorf("%d tokens remain; the server has 5,000", got)
		}
	})
}

// A call that is rejected because its ask has told that others have spent the budget
// leaves no ticket in line, for which they would wait.
func TestRejectionAfterAnAskLeavesNoTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		one, two := newWarm(t, ratelimiter.WithBackend(s)), newWarm(t, ratelimiter.WithBackend(s))
		requests := func(n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: "m", Requests: n} }
		acquire(t, one, requests(1)).Cancel() // it now knows of a full bucket
		synctest.Wait()
		acquire(t, two, requests(600)).Settle(ratelimiter.Usage{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := one.Acquire(ctx, requests(100)); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("%v; want ErrDeadline", err)
		}
		synctest.Wait()
		time.Sleep(5 * time.Second) // 50 have refilled
		start := time.Now()
		acquire(t, two, requests(40)).Settle(ratelimiter.Usage{})
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %v behind somebody who has gone", waited)
		}
		for _, l := range []*ratelimiter.Limiter{one, two} {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// Guesses of those in line are cut to a limit that turns out to be lower. Once they have
// started nobody wants any more what was cut off: who comes later is not rejected for it.
func TestWhatACutGuessWantedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const output, calls = 5_000, 5
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000}))
		warm(t, l, "m")
		used := func(n int) io.ReadCloser {
			return io.NopCloser(strings.NewReader(fmt.Sprintf(`{"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}}`, n, 12+n)))
		}
		// Calls that declare no maximum need this much, which is known after a few.
		undeclared := strings.Replace(chatBody("m", 0, false), `"max_tokens":0,`, "", 1)
		plain := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(http.StatusOK, "application/json", used(output)), nil
		}))
		for range 20 {
			post(t, plain, chatURL, undeclared)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Minute)
		// Small ones are on their way, and will tell a lower limit.
		lower := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			resp := response(http.StatusOK, "application/json", used(1))
			resp.Header[limitHeader+"Tokens"] = []string{"1000"}
			resp.Header[leftHeader+"Tokens"] = []string{"500"}
			resp.Header[resetHeader+"Tokens"] = []string{"30s"}
			return resp, nil
		}))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { post(t, lower, chatURL, chatBody("m", 1, false)) })
		}
		synctest.Wait()
		r := acquire(t, l, tokens(59_000)) // the rest, so that the next must wait
		r.Settle(ratelimiter.Usage{TotalTokens: 59_000})
		for range calls {
			wg.Go(func() { post(t, plain, chatURL, undeclared) })
		}
		synctest.Wait()
		if n := scopeOf(t, l, "m").Waiting; n != calls {
			t.Fatalf("%d wait", n)
		}
		wg.Wait()
		if got := limitsOf(t, l, "m")["tpm"].Limit; got != 1000 {
			t.Fatalf("the limit is %d", got)
		}
		time.Sleep(time.Hour)
		acquire(t, l, tokens(900)).Settle(ratelimiter.Usage{TotalTokens: 900})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.Acquire(ctx, tokens(500)); err != nil { // half a minute's worth
			t.Error(err)
		}
	})
}

// While limits are unknown few calls are in flight, and the next goes as soon as one has
// ended, not at the next second.
func TestOpeningGoesOnWhenACallEnds(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(fmt.Sprintf("local=%t", local), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				// The tokens' limit is not told, so that nobody knows all.
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000}), j.option(),
					openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
						took := 300*time.Millisecond + time.Duration(c.Seq)*10*time.Millisecond
						return openaitest.Timing{Headers: took, Total: took}
					}))
				options := []ratelimiter.Option{ratelimiter.WithAccount("a")}
				if !local {
					s := newStore()
					s.mute = true
					options = append(options, ratelimiter.WithBackend(s))
				}
				l := newLimiter(t, options...)
				start := time.Now()
				burst(t, []*http.Client{l.Client(srv.Direct())}, 12)
				first := j.admitted(start, start.Add(time.Millisecond))
				then := j.admitted(start, start.Add(400*time.Millisecond))
				if first != 4 || then <= first {
					t.Errorf("%d calls go at once, and %d within the time that the first take", first, then)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A response that has begun, and a call without HTTP that has ended, let the next go at
// once too.
func TestOpeningGoesOnWithoutTheEndOfAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000}),
			openaitest.WithLatency(300*time.Millisecond, 20*time.Second))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		start := time.Now()
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 8, true)) })
		}
		time.Sleep(400 * time.Millisecond)
		if n := srv.Account("m").Admitted; n <= 4 {
			t.Errorf("%d calls after %v", n, time.Since(start))
		}
		wg.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		var flying []*ratelimiter.Reservation
		for range 4 {
			flying = append(flying, acquire(t, l, tokens(1)))
		}
		time.AfterFunc(300*time.Millisecond, flying[0].Cancel)
		start := time.Now()
		acquire(t, l, tokens(1)).Cancel()
		if waited := time.Since(start); waited != 300*time.Millisecond {
			t.Errorf("waited %v; want until the first has ended", waited)
		}
		for _, r := range flying {
			r.Cancel()
		}
	})
}
