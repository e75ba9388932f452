package ratelimiter_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const chatURL = "http://api.openai.test/v1/chat/completions"

// newLimiter fails the test where New does.
func newLimiter(t testing.TB, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	l, err := ratelimiter.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func chatBody(model string, maxTokens int, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":%d,"stream":%t}`, model, maxTokens, stream)
}

// post sends a JSON body and reads the answer to its end.
func post(t testing.TB, c *http.Client, url, body string) (status int, answer string) {
	t.Helper()
	resp, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(b)
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
