package ratelimiter_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Of a burst that the full bucket holds all calls are sent within seconds: what was held back while
// it lasted is not when it is over, though no response comes any more.
func TestBurstOfTheFullBucket(t *testing.T) {
	for _, x := range []struct {
		name    string
		limits  ratelimiter.Limits
		latency time.Duration
		warm    bool // a response has reported the limits before
		calls   int64
		tokens  int
	}{
		{"of requests, quick", ratelimiter.Limits{RPM: 60, TPM: 1_000_000}, 20 * time.Millisecond, false, 60, 1},
		{"of requests", ratelimiter.Limits{RPM: 60, TPM: 1_000_000}, time.Second / 2, false, 60, 1},
		{"of requests, large", ratelimiter.Limits{RPM: 200, TPM: 1_000_000}, time.Second / 2, false, 200, 1},
		{"of tokens, which take long", ratelimiter.Limits{RPM: 10_000, TPM: 100_000}, time.Minute, true, 24, 4000},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: x.limits.RPM, TPM: x.limits.TPM}), openaitest.WithLatency(x.latency, x.latency))
				client := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithMaxWait(3*time.Second), ratelimiter.WithLimits("m", x.limits)).Client(srv.Direct())
				var lost atomic.Int64
				call := func() {
					if status, _ := post(t, client, chatURL, chatBody("m", x.tokens, false)); status != http.StatusOK {
						lost.Add(1)
					}
				}
				if x.warm {
					call()
					time.Sleep(time.Minute)
				}
				var calls sync.WaitGroup
				for range x.calls {
					if x.warm {
						time.Sleep(5 * time.Millisecond)
					}
					calls.Go(call)
				}
				calls.Wait()
				if a := srv.Account("m"); lost.Load() > 0 || a.Throttled > 0 {
					t.Errorf("%d calls are not sent within 3s, and %d are refused", lost.Load(), a.Throttled)
				}
			})
		})
	}
}

// Where nothing is configured either: the first calls, which are in flight when the limit becomes
// known, are not counted twice for long, whichever of them is answered first.
func TestBurstWhereNothingIsConfigured(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rpm := int64(10 + seed)
				var mu sync.Mutex
				r := rand.New(rand.NewPCG(seed, 1))
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: 1_000_000}), openaitest.WithTiming(func(*openaitest.Call) openaitest.Timing {
					mu.Lock()
					defer mu.Unlock()
					takes := time.Duration(100+r.IntN(400)) * time.Millisecond
					return openaitest.Timing{Headers: takes, Total: takes}
				}))
				client := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithMaxWait(4*time.Second)).Client(srv.Direct())
				var lost atomic.Int64
				var calls sync.WaitGroup
				for range rpm {
					calls.Go(func() {
						if status, _ := post(t, client, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
							lost.Add(1)
						}
					})
				}
				calls.Wait()
				if a := srv.Account("m"); lost.Load() > 0 || a.Throttled > 0 {
					t.Errorf("%d RPM: %d calls are not sent within 4s, and %d are refused", rpm, lost.Load(), a.Throttled)
				}
			})
		})
	}
}
