package ratelimiter_test

import (
	"fmt"
	"io"
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
