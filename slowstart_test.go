package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Calls of a small tier that come one after the other start at once while its bucket has room, up to
// the last, whether they take half a second each or less: nothing is paced that a second's refill
// would not bear.
func TestSmallTiersStartAtOnce(t *testing.T) {
	for _, x := range []struct {
		rpm     int64
		latency time.Duration
	}{
		{3, time.Second / 2}, {10, time.Second / 2}, {60, time.Second / 2},
		{10, time.Second / 10}, {15, time.Second / 10}, {20, time.Second / 10}, {60, time.Second / 10},
		{3, time.Millisecond}, {10, 10 * time.Millisecond}, {60, time.Millisecond}, {60, 50 * time.Millisecond}, {100, time.Millisecond},
	} {
		for _, configured := range []bool{true, false} {
			t.Run(fmt.Sprintf("%+v, configured %v", x, configured), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: x.rpm, TPM: 1_000_000}), openaitest.WithLatency(x.latency, x.latency))
					options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithMaxWait(0)}
					if configured {
						options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: x.rpm, TPM: 1_000_000}))
					}
					client := newLimiter(t, options...).Client(srv.Direct())
					begun := time.Now()
					for i := range x.rpm {
						if status, _ := post(t, client, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
							t.Fatalf("call %d: status %d after %v", i+1, status, time.Since(begun))
						}
					}
				})
			})
		}
	}
}

// Azure enforces the limits of small tiers too in subwindows. So their calls are paced from the
// first one on, and not only once a response looks like Azure's.
func TestSmallTiersOnAzure(t *testing.T) {
	for _, x := range []struct {
		url     string
		headers bool
		first   int // calls that start before a response
		second  int // and within a second
	}{
		{"http://r.openai.azure.com/openai/v1/chat/completions", true, 1, 3},
		{"http://r.openai.azure.com/openai/v1/chat/completions", false, 1, 3},
		{"http://ai.corp/openai/deployments/m/chat/completions", true, 1, 3},
		{"http://gateway.test/azure-openai/r/m/chat/completions", false, 1, 3},
		{chatURL, true, 3, 6},
		{chatURL, false, 3, 10},
	} {
		t.Run(fmt.Sprintf("%s, headers %v", x.url, x.headers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				limits := openaitest.Limits{RPM: 60, TPM: 1_000_000}
				srv := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithAzure(true), openaitest.WithHeaders(x.headers),
					openaitest.WithLatency(500*time.Millisecond, 500*time.Millisecond), j.option())
				client := newLimiter(t, ratelimiter.WithAccount("a"),
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: limits.RPM, TPM: limits.TPM})).Client(srv.Direct())
				begun := time.Now()
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() { post(t, client, x.url, chatBody("m", 1, false)) })
				}
				wg.Wait()
				first, second := j.admitted(begun, begun.Add(500*time.Millisecond)), j.admitted(begun, begun.Add(time.Second))
				if first != x.first || second != x.second {
					t.Errorf("%d calls started before a response, and %d within a second; want %d and %d", first, second, x.first, x.second)
				}
			})
		})
	}
}

// On Azure the pace of a small tier hardly holds up calls that come one after the other.
func TestSequentialCallsOnAzure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := openaitest.Limits{RPM: 60, TPM: 1_000_000}
		srv := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithLatency(500*time.Millisecond, 500*time.Millisecond))
		client := newLimiter(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: limits.RPM, TPM: limits.TPM})).Client(srv.Direct())
		begun := time.Now()
		for range 10 {
			post(t, client, "http://r.openai.azure.com/openai/deployments/m/chat/completions", chatBody("m", 1, false))
		}
		if took := time.Since(begun); took > 5200*time.Millisecond {
			t.Errorf("10 calls of half a second took %v", took)
		}
	})
}

// A call every 300 ms, of which none may wait, at 60 requests a minute.
func TestSmallTierWithoutWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 1_000_000}))
		client := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithMaxWait(0),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 1_000_000})).Client(srv.Direct())
		for i := range 40 {
			if status, _ := post(t, client, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
				t.Errorf("call %d: status %d", i+1, status)
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
}

// On a bucket that is spent already, few calls run into its throttle.
func TestColdStartOnASpentBucket(t *testing.T) {
	for _, x := range []struct{ rpm, most int64 }{{3, 3}, {60, 3}, {600, 10}, {60_000, 10}} {
		t.Run(fmt.Sprint(x.rpm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: x.rpm, TPM: 1_000_000_000}))
				srv.Account("m")
				srv.Spend("m", openaitest.Cost{Requests: x.rpm})
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: x.rpm, TPM: 1_000_000_000}))
				client := l.Client(srv.Direct())
				var refused atomic.Int64
				var wg sync.WaitGroup
				for range 300 {
					wg.Go(func() {
						if status := postWithin(t.Context(), client, chatBody("m", 1, false)); status == http.StatusTooManyRequests {
							refused.Add(1)
						}
					})
				}
				wg.Wait()
				if n := refused.Load(); n > x.most {
					t.Errorf("%d 429s; want %d at most", n, x.most)
				}
			})
		})
	}
}

// What paces the first calls says so: in rejections, in Delay, in State and to those who wait.
func TestPaceIsVisible(t *testing.T) {
	for _, rpm := range []int64{60, 600} {
		t.Run(fmt.Sprint(rpm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := ratelimiter.Limits{RPM: rpm, TPM: 1_000_000_000}
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: limits.TPM}), openaitest.WithLatency(time.Minute, time.Minute))
				var waits []time.Duration
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", limits), ratelimiter.WithTrace(&ratelimiter.Trace{
					Waiting: func(_ context.Context, i ratelimiter.WaitingInfo) { waits = append(waits, i.Wait) },
				}))
				call := ratelimiter.Chat{Model: "m", MaxTokens: 1}
				delay := func() time.Duration {
					d, err := l.Delay(t.Context(), call)
					if err != nil {
						t.Error(err)
					}
					return d
				}
				if d := delay(); d != 0 {
					t.Errorf("the first call would wait %v", d)
				}
				none := ratelimiter.ContextWithMaxWait(t.Context(), 0)
				var rejected *ratelimiter.Error
				for range rpm {
					if _, err := l.Acquire(none, call); errors.As(err, &rejected) {
						break
					}
				}
				if rejected == nil || rejected.Source != "pace" || rejected.Wait <= 0 || !strings.HasSuffix(rejected.Error(), " for the pace of the model's calls, but has only 0s") {
					t.Fatalf("%+v", rejected)
				}
				var expired *ratelimiter.Error
				if _, err := l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 10*time.Millisecond), call); !errors.As(err, &expired) || expired.Source != "pace" || expired.Waited != 10*time.Millisecond {
					t.Errorf("%+v", expired)
				}
				if d := delay(); d <= 0 || d > 2*time.Second {
					t.Errorf("Delay says %v", d)
				}
				state, err := l.State(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if paced := state.Scopes[0].Limits[0].Pace; paced != rpm && rpm >= 300 || paced != 0 && rpm < 300 {
					t.Errorf("State says %d a minute", paced)
				}
				client := l.Client(srv.Direct())
				postWithin(t.Context(), client, chatBody("m", 1, false))
				if len(waits) != 2 || waits[0] <= 0 {
					t.Errorf("%v", waits)
				}
				if state, err = l.State(t.Context()); err != nil || state.Scopes[0].Limits[0].Pace != 0 || delay() != 0 {
					t.Errorf("after a minute: %+v, %v", state, err)
				}
			})
		})
	}
}

// A burst of half as much again as the full buckets hold ends when its last
// tokens have refilled, and the server never says no.
func TestBurstTakesWhatItsBudgetDemands(t *testing.T) {
	for _, configured := range []bool{true, false} {
		t.Run(fmt.Sprintf("configured=%t", configured), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := openaitest.Limits{RPM: 600, TPM: 60_000}
				srv := openaitest.New(openaitest.WithLimits("gpt-4o", limits), openaitest.WithRefunds(true),
					openaitest.WithLatency(300*time.Millisecond, time.Second))
				var options []ratelimiter.Option
				if configured {
					options = append(options, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
				}
				client := newLimiter(t, options...).Client(srv.Direct())
				start := time.Now()
				var wg sync.WaitGroup
				var refused atomic.Int64
				for range 900 {
					wg.Go(func() {
						if status, _ := post(t, client, chatURL, chatBody("gpt-4o", 80, false)); status != 200 {
							refused.Add(1)
						}
					})
				}
				wg.Wait()
				a := srv.Account("gpt-4o")
				ideal, took := a.IdealMakespan(), a.LastAdmission.Sub(start)
				t.Logf("ideal %v, took %v, refused %d", ideal, took, refused.Load())
				if refused.Load() > 0 || a.Admitted != 900 {
					t.Errorf("%d refused, %d admitted", refused.Load(), a.Admitted)
				}
				late := ideal / 20
				if !configured {
					late += time.Second // the first answer, before which nothing is known
				}
				if took > ideal+late {
					t.Errorf("the last call was admitted after %v; the budget demands %v", took, ideal)
				}
			})
		})
	}
}

// The server's clock begins with the first request that reaches it, and of images no
// header tells where it stands.
func TestImagesOfABurstThatStartsSlowly(t *testing.T) {
	const written = 160 * time.Millisecond
	for _, tt := range []struct {
		name    string
		onWire  time.Duration
		refused int64
		late    time.Duration
	}{
		{"a bit", 80 * time.Millisecond, 0, 500 * time.Millisecond},
		{"more than can be known", 300 * time.Millisecond, 1, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("gpt-image-2", openaitest.Limits{RPM: 120, IPM: 20}),
					openaitest.WithLatency(100*time.Millisecond, 100*time.Millisecond))
				var begun atomic.Bool
				base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
					first := !begun.Swap(true)
					if first {
						time.Sleep(written)
					}
					httptrace.ContextClientTrace(r.Context()).WroteRequest(httptrace.WroteRequestInfo{})
					if first {
						time.Sleep(tt.onWire)
					}
					return srv.Direct().RoundTrip(r)
				})
				client := newLimiter(t, ratelimiter.WithLimits("gpt-image-2", ratelimiter.Limits{RPM: 120, IPM: 20})).Client(base)
				start := time.Now()
				var wg sync.WaitGroup
				for range 29 {
					wg.Go(func() {
						status := 0
						for status != http.StatusOK && t.Context().Err() == nil {
							status, _ = post(t, client, "http://api.openai.test/v1/images/generations", `{"model":"gpt-image-2","prompt":"a cat"}`)
						}
					})
				}
				wg.Wait()
				a := srv.Account("gpt-image-2")
				took := a.LastAdmission.Sub(start)
				t.Logf("%d refused; it took %v, and the limit demands %v", a.Throttled, took, a.IdealMakespan())
				if a.Throttled > tt.refused || took > a.IdealMakespan()+tt.late {
					t.Error("too many, or too late")
				}
			})
		})
	}
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
