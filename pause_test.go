package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// throttling answers once with a 429 of these headers, and from then on as the base does.
func throttling(base http.RoundTripper, header http.Header) http.RoundTripper {
	var once sync.Once
	return roundTripFunc(func(r *http.Request) (resp *http.Response, err error) {
		once.Do(func() {
			resp = response(http.StatusTooManyRequests, "application/json", io.NopCloser(strings.NewReader(`{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}`)))
			for name, values := range header {
				resp.Header[name] = values
			}
		})
		if resp != nil {
			return resp, nil
		}
		return base.RoundTrip(r)
	})
}

// What the server asks for is how long its scope pauses, but never longer than
// WithMaxPause says, or ten minutes without it. A 429 that says nothing of time pauses
// for a second.
func TestLongestPause(t *testing.T) {
	for _, tt := range []struct {
		name   string
		option ratelimiter.Option
		header http.Header
		want   time.Duration
	}{
		{"as asked for", nil, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"less than a second", nil, http.Header{"Retry-After-Ms": {"300"}}, 300 * time.Millisecond},
		{"nothing said", nil, nil, time.Second},
		{"senseless", nil, http.Header{"Retry-After": {"-5"}}, time.Second},
		{"ten minutes", nil, http.Header{"Retry-After": {"600"}}, 10 * time.Minute},
		{"a little more", nil, http.Header{"Retry-After": {"601"}}, 10 * time.Minute},
		{"a day", nil, http.Header{"Retry-After": {"86400"}}, 10 * time.Minute},
		{"bounded", ratelimiter.WithMaxPause(5 * time.Second), http.Header{"Retry-After": {"3600"}}, 5 * time.Second},
		{"bounded, and nothing said", ratelimiter.WithMaxPause(100 * time.Millisecond), nil, 100 * time.Millisecond},
		{"bound above", ratelimiter.WithMaxPause(time.Hour), http.Header{"Retry-After": {"1800"}}, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t, tt.option)
				var told time.Duration
				ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
					Paused: func(_ context.Context, i ratelimiter.PausedInfo) { told = i.For },
				})
				c := l.Client(throttling(openaitest.New(openaitest.WithHeaders(false)).Direct(), tt.header))
				resp, err := c.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false))))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if paused := scopeOf(t, l, "m").Paused; told != tt.want || paused < tt.want-time.Millisecond || paused > tt.want {
					t.Errorf("the hook says %v, State %v; want %v", told, paused, tt.want)
				}
				start := time.Now()
				if d, err := l.Delay(t.Context(), tokens(1)); err != nil || d < tt.want-time.Millisecond || d > tt.want {
					t.Errorf("a delay of %v, %v; want %v", d, err, tt.want)
				}
				post(t, c, chatURL, chatBody("m", 1, false))
				if waited := time.Since(start); waited < tt.want-time.Millisecond || waited > tt.want+time.Millisecond {
					t.Errorf("waited %v; want %v", waited, tt.want)
				}
			})
		})
	}
}

// After a pause of a second or more those who have waited go little by little, behind
// one that goes first; after a shorter one all that the budget holds go at once.
func TestAfterAPause(t *testing.T) {
	for _, tt := range []struct {
		pause time.Duration
		once  bool
	}{{500 * time.Millisecond, true}, {999 * time.Millisecond, true}, {time.Second, false}, {20 * time.Second, false}} {
		t.Run(fmt.Sprint(tt.pause), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000_000}), j.option(),
					openaitest.WithLatency(100*time.Millisecond, 100*time.Millisecond))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
				c := l.Client(srv.Direct())
				burst(t, []*http.Client{c}, 100)
				time.Sleep(time.Hour)
				header := http.Header{"Retry-After-Ms": {fmt.Sprint(tt.pause.Milliseconds())}}
				post(t, l.Client(throttling(nil, header)), chatURL, chatBody("m", 1, false))
				start := time.Now()
				burst(t, []*http.Client{c}, 300)
				end := start.Add(tt.pause)
				if n := j.admitted(start, end.Add(-time.Millisecond)); n > 0 {
					t.Errorf("%d calls during the pause", n)
				}
				first := j.admitted(end.Add(-time.Millisecond), end.Add(50*time.Millisecond))
				second := j.admitted(end, end.Add(time.Second))
				if tt.once && first != 300 || !tt.once && (first != 1 || second < 5 || second > 30) {
					t.Errorf("%d calls at the end of the pause, and %d within a second", first, second)
				}
			})
		})
	}
}

// A call that was sent before a pause and is answered in it, or while the call that goes
// first after it is on its way, says nothing about what the server will do: one call
// still goes first, and the others little by little, whether or not headers tell the
// limits.
func TestAnswerAboutAPauseBefore(t *testing.T) {
	const pause = 20 * time.Second
	for _, headers := range []bool{true, false} {
		for _, at := range []time.Duration{10 * time.Second, pause - 500*time.Millisecond, pause + 50*time.Millisecond} {
			t.Run(fmt.Sprintf("headers=%t/%v", headers, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var j journal
					srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000_000}), j.option(),
						openaitest.WithHeaders(headers), openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
							took := 5 * time.Second
							if c.Declared == 77 {
								took = time.Second + at // the pause begins a second after it was sent
							}
							return openaitest.Timing{Headers: took, Total: took}
						}))
					l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
					c := l.Client(srv.Direct())
					burst(t, []*http.Client{c}, 100)
					time.Sleep(time.Hour)
					var wg sync.WaitGroup
					for range 3 {
						wg.Go(func() { post(t, c, chatURL, chatBody("m", 77, false)) })
					}
					time.Sleep(time.Second)
					post(t, l.Client(throttling(nil, http.Header{"Retry-After": {"20"}})), chatURL, chatBody("m", 1, false))
					end := time.Now().Add(pause)
					burst(t, []*http.Client{c}, 300)
					wg.Wait()
					if n := j.admitted(end.Add(-time.Millisecond), end.Add(200*time.Millisecond)); n != 1 {
						t.Errorf("%d calls go first; want one", n)
					}
					if !headers && at > pause {
						return // an answer without headers opens the gate then
					}
					if n := j.admitted(end, end.Add(time.Second)); n < 2 || n > 30 {
						t.Errorf("%d calls in the second after the pause; want at most about the ten that refill", n)
					}
				})
			})
		}
	}
}

// If the call that goes first after a pause is throttled again, the others wait for as
// long as that asks, be it less than a second.
func TestThrottledProbe(t *testing.T) {
	for _, again := range []time.Duration{600 * time.Millisecond, 5 * time.Second} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000_000}), j.option(),
					openaitest.WithTiming(func(*openaitest.Call) openaitest.Timing {
						return openaitest.Timing{Throttle: 50 * time.Millisecond, Headers: 100 * time.Millisecond, Total: 100 * time.Millisecond}
					}))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
				c := l.Client(srv.Direct())
				burst(t, []*http.Client{c}, 100)
				time.Sleep(time.Hour)
				post(t, l.Client(throttling(nil, http.Header{"Retry-After": {"20"}})), chatURL, chatBody("m", 1, false))
				end := time.Now().Add(20 * time.Second)
				srv.Inject(1, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: again})
				burst(t, []*http.Client{c}, 100)
				next := end.Add(50*time.Millisecond + again)
				if n := j.admitted(end, next.Add(-time.Millisecond)); n > 0 {
					t.Errorf("%d calls before the second pause was over", n)
				}
				if n := j.admitted(next, next.Add(20*time.Second)); n != 99 {
					t.Errorf("%d of 99 calls in the time after it", n)
				}
			})
		})
	}
}

// Those who wait for the end of a pause go on as fast as the limits let them: not as the few
// that go first.
func TestDelayInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		srv := openaitest.New(openaitest.WithHeaders(false))
		if status, _ := post(t, l.Client(throttling(srv.Direct(), http.Header{"Retry-After": {"30"}})), chatURL, chatBody("m", 1, false)); status != http.StatusTooManyRequests {
			t.Fatalf("status %d", status)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const waiting = 200
		for range waiting {
			go func() { _, _ = l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 1}) }()
		}
		synctest.Wait()
		d, err := l.Delay(t.Context(), ratelimiter.Cost{Model: "m", Tokens: 1})
		if refill := waiting * time.Minute / 600; err != nil || d < 30*time.Second || d > 31*time.Second+refill {
			t.Errorf("Delay says %v, %v: behind %d calls and 30 s of pause", d, err, waiting)
		}
		cancel()
		synctest.Wait()
	})
}
