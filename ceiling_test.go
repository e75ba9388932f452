package ratelimiter_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Whoever configures less than the server would give gets what is configured.
func TestConfiguredTokensBelowTheServers(t *testing.T) {
	const minutes, tpm, workers = 40, 60_000, 10
	for _, percent := range []int64{110, 150, 200, 2000} {
		t.Run(fmt.Sprint(percent, " %"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 100_000, TPM: tpm * percent / 100}),
					openaitest.WithLatency(300*time.Millisecond, time.Second),
					openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
						return openaitest.Answer{OutputTokens: c.Declared}
					}))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: tpm}))
				client := l.Client(srv.Direct())
				start := time.Now()
				var mu sync.Mutex
				spent := 0
				var wg sync.WaitGroup
				for i := range workers {
					random := rand.New(rand.NewPCG(1, uint64(i)))
					wg.Go(func() {
						for time.Since(start) < minutes*time.Minute {
							n := 20 + random.IntN(500)
							if postWithin(t.Context(), client, chatBody("m", n, false)) == 200 {
								mu.Lock()
								spent += n + 5
								mu.Unlock()
							}
						}
					})
				}
				wg.Wait()
				t.Logf("%d tokens in %d minutes of %d", spent, minutes, tpm)
				if spent > tpm*(minutes+1)*102/100 || spent < tpm*minutes*95/100 {
					t.Error("too many or too few")
				}
				if ignored := limitsOf(t, l, "m")["tpm"].Ignored; ignored > 0 {
					t.Errorf("the server's figures are ignored for %v", ignored)
				}
			})
		})
	}
}
