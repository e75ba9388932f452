package openaitest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func BenchmarkChat(b *testing.B) {
	prompt := strings.Repeat("Who is Joseph Conrad? ", 50)
	for _, way := range []string{"direct", "pipe"} {
		for _, kind := range []struct{ name, stream string }{{"json", "false"}, {"stream", "true"}} {
			b.Run(way+"/"+kind.name, func(b *testing.B) {
				srv := New(WithLimits("m", Limits{RPM: 1e12, TPM: 1e15}))
				defer srv.Close()
				rt := srv.Direct()
				if way == "pipe" {
					rt = srv.Transport()
				}
				body := fmt.Sprintf(`{"model":"m","stream":%s,"max_tokens":400,"messages":[{"role":"user","content":%q}]}`, kind.stream, prompt)
				b.ReportAllocs()
				for b.Loop() {
					req, err := http.NewRequest(http.MethodPost, "http://api.test"+chatPath, strings.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					resp, err := rt.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						b.Fatal(err)
					}
					resp.Body.Close()
				}
			})
		}
	}
}

// What the buckets themselves cost.
func BenchmarkAdmission(b *testing.B) {
	srv := New(WithLimits("m", Limits{RPM: 1e12, TPM: 1e15, RPD: 1e15, TPD: 1e18 / 2}), WithAccountLimits(Limits{RPM: 1e12}))
	c := &Call{Model: "m"}
	b.ReportAllocs()
	for b.Loop() {
		srv.ledger.admit(c, Cost{Requests: 1, Tokens: 500})
	}
}
