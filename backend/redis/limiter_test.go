package redis_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What the tests of whole limiters share.

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// post makes a call of this model and returns its status.
func post(t *testing.T, l *ratelimiter.Limiter, model string, upstream http.RoundTripper) int {
	t.Helper()
	resp, err := l.Client(upstream).Post("http://api.openai.test/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"Hello!"}],"max_tokens":1}`))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

// warm ends a model's slow start, so that tests about something else see whole
// buckets: a response without rate-limit headers does that.
func warm(t *testing.T, l *ratelimiter.Limiter, model string) {
	t.Helper()
	if status := post(t, l, model, openaitest.New(openaitest.WithHeaders(false)).Direct()); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if err := l.Clear(t.Context(), model); err != nil {
		t.Fatal(err)
	}
}

// acquire fails the test on an error.
func acquire(t *testing.T, l *ratelimiter.Limiter, call ratelimiter.Call) *ratelimiter.Reservation {
	t.Helper()
	r, err := l.Acquire(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// throttled is the server's response that asks for a pause of half a minute.
func throttled() *http.Response {
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}},
		Body: io.NopCloser(strings.NewReader(`{"error":{"message":"Rate limit reached for m on tokens per min (TPM): Limit 600, Used 600, Requested 300. Please try again in 30s."}}`)),
	}
}
