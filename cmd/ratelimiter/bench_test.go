package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// mostOverhead is what the proxy may add to the median call beside a bare one.
const mostOverhead = 150 * time.Microsecond

// BenchmarkOverhead measures calls through the proxy and through a bare httputil.ReverseProxy
// in turns, so that both see the same machine, over sockets.
func BenchmarkOverhead(b *testing.B) {
	for _, stream := range []bool{false, true} {
		b.Run(fmt.Sprintf("stream=%t", stream), func(b *testing.B) {
			upstream := httptest.NewServer(openaitest.New())
			defer upstream.Close()
			target, err := url.Parse(upstream.URL)
			if err != nil {
				b.Fatal(err)
			}
			log := slog.New(slog.DiscardHandler)
			s, err := parseFlags([]string{"-upstream", upstream.URL, "-limits", "gpt-5.4-mini=rpm:100000M,tpm:100000M"}, io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			c, err := s.load()
			if err != nil {
				b.Fatal(err)
			}
			l, err := newLimiter(c, log)
			if err != nil {
				b.Fatal(err)
			}
			base := newBase()
			defer base.CloseIdleConnections()
			bare := &httputil.ReverseProxy{
				Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
				Transport:     base,
				FlushInterval: -1,
				BufferPool:    &buffers{},
			}
			var urls [2]string
			for i, h := range []http.Handler{bare, newProxy(l.Limiter, base, target, log)} {
				server := httptest.NewServer(h)
				defer server.Close()
				urls[i] = server.URL
			}
			body := fmt.Sprintf(`{"model":"gpt-5.4-mini","stream":%t,"max_completion_tokens":100,"messages":[{"role":"user","content":%q}]}`,
				stream, strings.Repeat("The limiter lets each request wait until its budget is free. ", 16))
			caller := client(b)
			var took [2][]time.Duration
			for i := 0; b.Loop(); i++ {
				for j := range urls {
					which := (i + j) % 2
					begun := time.Now()
					resp, err := caller.Post(urls[which]+"/v1/chat/completions", "application/json", strings.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
						b.Fatal(resp.Status, err)
					}
					resp.Body.Close()
					took[which] = append(took[which], time.Since(begun))
				}
			}
			b.StopTimer()
			median := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
			bareMedian, ours := median(took[0]), median(took[1])
			b.ReportMetric(0, "ns/op") // of two calls
			b.ReportMetric(float64(bareMedian.Microseconds()), "µs-bare")
			b.ReportMetric(float64(ours.Microseconds()), "µs")
			b.ReportMetric(float64((ours-bareMedian).Nanoseconds())/1000, "µs-more")
			if len(took[0]) > 100 && ours-bareMedian > mostOverhead {
				b.Errorf("the median call takes %v, and %v without the limiter: more than %v beside it", ours, bareMedian, mostOverhead)
			}
		})
	}
}
