package ratelimiter_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Calls of a small tier that come one after the other start at once while its bucket has
// room: nothing is paced that a second's refill would not bear.
func TestSmallTiersStartAtOnce(t *testing.T) {
	for _, rpm := range []int64{3, 10, 60} {
		for _, configured := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d, configured %v", rpm, configured), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: 1_000_000}))
					options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithMaxWait(0)}
					if configured {
						options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm, TPM: 1_000_000}))
					}
					client := newLimiter(t, options...).Client(srv.Direct())
					begun := time.Now()
					for i := range min(rpm-1, 20) {
						if status, _ := post(t, client, chatURL, chatBody("m", 1, false)); status != http.StatusOK {
							t.Fatalf("call %d: status %d after %v", i+1, status, time.Since(begun))
						}
					}
				})
			})
		}
	}
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
