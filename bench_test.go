package ratelimiter_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// BenchmarkTransport puts the Transport over an upstream that does nothing
// beside that upstream alone: the difference is what the limiter costs a call.
func BenchmarkTransport(b *testing.B) {
	upstream := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return response(200, "application/json", io.NopCloser(strings.NewReader(usageBody))), err
	})
	l, err := ratelimiter.New(ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1 << 40, TPM: 1 << 40}))
	if err != nil {
		b.Fatal(err)
	}
	body := chatBody("m", 100, false)
	for _, bm := range []struct {
		name string
		base http.RoundTripper
	}{{"bare", upstream}, {"limited", l.Transport(upstream)}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := bm.base.RoundTrip(newRequest(b, b.Context(), chatURL, strings.NewReader(body)))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkAcquire is the engine alone: a charge and its settlement.
func BenchmarkAcquire(b *testing.B) {
	l, err := ratelimiter.New(ratelimiter.WithAccount("a"),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1 << 40, TPM: 1 << 40}))
	if err != nil {
		b.Fatal(err)
	}
	warm(b, l, "m")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := l.Acquire(b.Context(), ratelimiter.Cost{Model: "m", Tokens: 100})
			if err != nil {
				b.Error(err)
				return
			}
			r.Settle(ratelimiter.Usage{TotalTokens: 50})
		}
	})
}

// What a call costs in allocations, over those of its request: see docs/BENCHMARKS.md.
func TestAllocations(t *testing.T) {
	const plenty = 1 << 39
	l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: plenty, TPM: plenty}))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"model":"m","max_completion_tokens":100,"messages":[{"role":"user","content":"Say hello, and no more than that."}]}`)
	headers := http.Header{
		"Content-Type": {"application/json"}, "X-Ratelimit-Limit-Requests": {"549755813888"}, "X-Ratelimit-Limit-Tokens": {"549755813888"},
		"X-Ratelimit-Remaining-Requests": {"549755813887"}, "X-Ratelimit-Remaining-Tokens": {"549755813770"},
		"X-Ratelimit-Reset-Requests": {"0s"}, "X-Ratelimit-Reset-Tokens": {"0s"},
	}
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Header: headers, Body: io.NopCloser(strings.NewReader(`{"usage":{"total_tokens":50}}`)), Request: r}, err
	})
	call := func(over http.RoundTripper) func() {
		return func() {
			req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/chat/completions", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := over.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	t.Run("Transport", func(t *testing.T) {
		bare := testing.AllocsPerRun(500, call(base))
		if n := testing.AllocsPerRun(500, call(l.Transport(base))) - bare; n > 7 { // 5
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("Acquire and Settle", func(t *testing.T) {
		if n := testing.AllocsPerRun(200, func() {
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Tokens: 100})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{TotalTokens: 80})
		}); n > 5 { // 3 once the slow start is over
			t.Errorf("%v allocations", n)
		}
	})
}
