package ratelimiter

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"
)

type sends func(*http.Request) (*http.Response, error)

func (f sends) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The hooks that a caller has put into its context run beside ours, and all else that its
// context has is there.
func TestHooksOfTheCallerRun(t *testing.T) {
	var order string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteHeaders: func() { order += "headers " },
		WroteRequest: func(httptrace.WroteRequestInfo) { order += "request " },
		GotConn:      func(httptrace.GotConnInfo) { order += "connection " },
	})
	type key struct{}
	w := &writeWatch{Context: context.WithValue(ctx, key{}, 7), begun: time.Now()}
	hooks := httptrace.ContextClientTrace(w)
	if again := httptrace.ContextClientTrace(w); again != hooks {
		t.Error("hooks are made twice")
	}
	if hooks.GetConn("host"); !w.connected.Load() || w.wrote.Load() || !w.time().IsZero() {
		t.Error("a request is taken for written before it is")
	}
	hooks.GotConn(httptrace.GotConnInfo{})
	hooks.WroteHeaders()
	hooks.WroteRequest(httptrace.WroteRequestInfo{})
	if !w.wrote.Load() || w.time().IsZero() {
		t.Error("a request that was written is not known to be")
	}
	if order != "connection headers request " {
		t.Errorf("the caller's hooks that ran: %s", order)
	}
	if w.Value(key{}) != 7 {
		t.Error("the context lacks what the caller has put into it")
	}
}

// What a call costs in allocations, over those of its request: see docs/BENCHMARKS.md.
func TestAllocations(t *testing.T) {
	const plenty = 1 << 39
	l, err := New(WithAccount("a"), WithLimits("m", Limits{RPM: plenty, TPM: plenty}))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"model":"m","max_completion_tokens":100,"messages":[{"role":"user","content":"Say hello, and no more than that."}]}`
	headers := http.Header{
		"Content-Type": {"application/json"}, "X-Ratelimit-Limit-Requests": {"549755813888"}, "X-Ratelimit-Limit-Tokens": {"549755813888"},
		"X-Ratelimit-Remaining-Requests": {"549755813887"}, "X-Ratelimit-Remaining-Tokens": {"549755813770"},
		"X-Ratelimit-Reset-Requests": {"0s"}, "X-Ratelimit-Reset-Tokens": {"0s"},
	}
	base := sends(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Header: headers, Body: io.NopCloser(strings.NewReader(`{"usage":{"total_tokens":50}}`)), Request: r}, err
	})
	call := func(over http.RoundTripper) func() {
		return func() {
			req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/chat/completions", strings.NewReader(body))
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
		if n := testing.AllocsPerRun(500, call(l.Transport(base))) - bare; n > 12 { // 9 once the slow start is over
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("Acquire and Settle", func(t *testing.T) {
		if n := testing.AllocsPerRun(200, func() {
			r, err := l.Acquire(t.Context(), Cost{Model: "m", Tokens: 100})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(Usage{TotalTokens: 80})
		}); n > 5 { // 3 once the slow start is over
			t.Errorf("%v allocations", n)
		}
	})
}
