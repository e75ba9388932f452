package openaitest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A call beyond the limit on calls in flight is throttled, and one that comes when another
// has ended is not.
func TestConcurrent(t *testing.T) {
	for name, limited := range map[string]openaitest.Option{
		"model":   openaitest.WithLimits("m", openaitest.Limits{Concurrent: 2}),
		"shared":  openaitest.WithShared("family", openaitest.Limits{Concurrent: 2}, "m", "n"),
		"account": openaitest.WithAccountLimits(openaitest.Limits{Concurrent: 2}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var records []openaitest.Record
				srv := openaitest.New(limited, openaitest.WithLatency(time.Second, 10*time.Second),
					openaitest.WithLog(func(r openaitest.Record) { records = append(records, r) }))
				send := func() *http.Response {
					req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/v1/chat/completions",
						strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`))
					resp, err := srv.Direct().RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					return resp
				}
				one, two, three := send(), send(), send()
				if one.StatusCode != 200 || two.StatusCode != 200 || three.StatusCode != 429 || three.Header.Get("Retry-After") != "1" {
					t.Fatalf("%d, %d, %d", one.StatusCode, two.StatusCode, three.StatusCode)
				}
				if r := records[0]; r.Outcome != openaitest.Throttled || r.ThrottledLimit != openaitest.Concurrent {
					t.Errorf("%+v", r)
				}
				if _, err := io.ReadAll(one.Body); err != nil {
					t.Error(err)
				}
				four := send()
				if four.StatusCode != 200 {
					t.Errorf("%d after one has ended", four.StatusCode)
				}
				for _, resp := range []*http.Response{two, three, four} {
					_, _ = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if c := srv.Account("m").Calls; c.MostInFlight != 2 || c.InFlight() != 0 || c.Throttled != 1 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}
