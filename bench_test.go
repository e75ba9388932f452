package ratelimiter_test

import (
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
