package ratelimiter_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// endless writes a body that repeats itself until so much of it is sent.
func endless(begin, repeated string) func(w io.Writer) error {
	return func(w io.Writer) error {
		most := 32 << 20
		if raceEnabled {
			most = 4 << 20
		}
		piece := []byte(strings.Repeat(repeated, 1+(64<<10)/len(repeated)))
		_, err := io.WriteString(w, begin)
		for n := 0; n < most && err == nil; n += len(piece) {
			_, err = w.Write(piece)
		}
		return err
	}
}

// Whatever a server answers, over a real connection, the body arrives, the limiter keeps
// next to nothing of it, and the calls after it start within the longest pause.
func TestHostileServer(t *testing.T) {
	nothing := func(io.Writer) error { return nil }
	usage := func(w io.Writer) error {
		_, err := io.WriteString(w, usageBody)
		return err
	}
	zipped := func(write func(io.Writer) error) func(io.Writer) error {
		return func(w io.Writer) error {
			z := gzip.NewWriter(w)
			return errors.Join(write(z), z.Close())
		}
	}
	set := func(pairs ...string) func(http.Header) {
		return func(h http.Header) {
			for i := 0; i < len(pairs); i += 2 {
				h.Set(pairs[i], pairs[i+1])
			}
		}
	}
	limits := func(remaining, reset string) func(http.Header) {
		return set("X-Ratelimit-Limit-Requests", "600", "X-Ratelimit-Limit-Tokens", "60000",
			"X-Ratelimit-Remaining-Requests", remaining, "X-Ratelimit-Remaining-Tokens", remaining,
			"X-Ratelimit-Reset-Requests", reset, "X-Ratelimit-Reset-Tokens", reset)
	}
	for name, x := range map[string]struct {
		status int
		header func(http.Header)
		body   func(io.Writer) error
	}{
		"Retry-After of 10^18":          {429, set("Retry-After", "1000000000000000000"), usage},
		"Retry-After of a million ones": {429, set("Retry-After", strings.Repeat("1", 1<<20)), usage},
		"Retry-After in the year 9999":  {429, set("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), usage},
		"a wait of years in the text": {429, set(), func(w io.Writer) error {
			_, err := io.WriteString(w, `{"error":{"message":"Rate limit reached. Please try again in 900000h0m0s.","code":"rate_limit_exceeded"}}`)
			return err
		}},
		"a throttle without a body": {429, set("Content-Length", "0"), nothing},
		"an overload of years":      {503, set("Retry-After", "99999999999"), usage},
		"a reset of years":          {200, limits("0", "876000h0m0s"), usage},
		"a reset of years, 429":     {429, limits("0", "876000h0m0s"), usage},
		"nothing remains, ever":     {200, limits("-9223372036854775808", "9223372036854775807s"), usage},
		"figures that overflow":     {200, limits("99999999999999999999999999", "1e308s"), usage},
		"headers of megabytes": {200, func(h http.Header) {
			for i := range 900 {
				h.Add("X-Ratelimit-Limit-Tokens", strings.Repeat("9", 10<<10))
				h.Set(fmt.Sprint("X-Ratelimit-Limit-", i), strings.Repeat("1", 100))
			}
			h.Set("X-Ratelimit-Reset-Tokens", strings.Repeat("1h", 100<<10))
			h.Set("Content-Encoding", strings.Repeat("gzip, ", 10<<10)+"gzip")
		}, usage},
		"a line without end":             {200, set("Content-Type", "text/event-stream"), endless("data: ", "a")},
		"a name without end":             {200, set("Content-Type", "text/event-stream"), endless("", "a")},
		"an event's text without end":    {200, set("Content-Type", "text/event-stream"), endless(`data: {"choices":[{"delta":{"content":"`, "word ")},
		"events without end":             {200, set("Content-Type", "text/event-stream"), endless("", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n")},
		"comments without end":           {200, set("Content-Type", "text/event-stream"), endless("", ": keep-alive\n\n")},
		"lines of one event without end": {200, set("Content-Type", "text/event-stream"), endless("data: {\"a\":[\n", "data: 1,\n")},
		"spaces without end":             {200, set("Content-Type", "application/json"), endless("", " \n")},
		"an object without end":          {200, set("Content-Type", "application/json"), endless("{", `"usage":{"total_tokens":1},`)},
		"deep JSON":                      {200, set("Content-Type", "application/json"), endless("", `{"a":[`)},
		"an id without end":              {200, set("Content-Type", "application/json"), endless(`{"id":"`, "a")},
		"a number without end":           {200, set("Content-Type", "application/json"), endless(`{"usage":{"total_tokens":`, "1")},
		"an error without end":           {500, set("Content-Type", "application/json"), endless(`{"error":{"message":"`, "Please try again in 1s. Limit 1, ")},
		"a throttle without end":         {429, set("Content-Type", "application/json"), endless(`{"error":{"code":"rate_limit_exceeded","message":"`, "try again ")},
		"a bomb":                         {200, set("Content-Encoding", "gzip"), zipped(endless("", " "))},
		"a bomb in a bomb":               {200, set("Content-Encoding", "gzip, gzip"), zipped(zipped(endless("", " ")))},
		"a bomb in an error":             {500, set("Content-Encoding", "gzip, gzip"), zipped(zipped(endless(`{"error":{"message":"`, " ")))},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				x.header(w.Header())
				w.WriteHeader(x.status)
				if err := x.body(w); err != nil {
					t.Error(err)
				}
			}))
			defer srv.Close()
			base := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 20}
			defer base.CloseIdleConnections()
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
			warm(t, l, "m")
			before := heapNow()
			resp, err := l.Client(base).Do(newRequest(t, t.Context(), srv.URL+"/v1/chat/completions", strings.NewReader(chatBody("m", 20, true))))
			if err != nil {
				t.Fatal(err)
			}
			said := 0 // by headers, which are the caller's
			for name, values := range resp.Header {
				said += len(name) + len(strings.Join(values, ""))
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			if kept := heapNow() - before; kept > int64(1<<20+said) {
				t.Errorf("%d KB are kept", kept>>10)
			}
			resp.Body.Close()
			runtime.KeepAlive(l)
			if wait, err := l.Delay(t.Context(), tokens(100)); err != nil || wait > 10*time.Minute {
				t.Errorf("the next call waits %v: %v", wait, err)
			}
			for name, limit := range limitsOf(t, l, "m") {
				if most := map[string]int64{"rpm": 600, "tpm": 60_000}[name]; limit.Limit > most {
					t.Errorf("%s has become %d", name, limit.Limit)
				}
			}
		})
	}
}

// A server that sends nothing at all, or only headers, holds its caller no longer than
// without the limiter: RoundTrip returns with the headers, and with the caller's context.
func TestSilentServer(t *testing.T) {
	for name, status := range map[string]int{"no headers": 0, "a success": 200, "a throttle": 429, "an error": 500} {
		t.Run(name, func(t *testing.T) {
			came := make(chan struct{}, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if status != 0 {
					w.WriteHeader(status)
					w.(http.Flusher).Flush()
				}
				came <- struct{}{}
				<-r.Context().Done()
			}))
			defer srv.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if status == 0 {
				go func() {
					<-came
					cancel()
				}()
			}
			l := newLimiter(t, ratelimiter.WithAccount("a"))
			resp, err := l.Client(base).Do(newRequest(t, ctx, srv.URL+"/v1/chat/completions", strings.NewReader(chatBody("m", 20, true))))
			if status == 0 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
				t.Errorf("Read says %v", err)
			}
			resp.Body.Close()
			for _, s := range stateOf(t, l).Scopes {
				if s.InFlight != 0 {
					t.Errorf("%d are in flight", s.InFlight)
				}
			}
		})
	}
}
