package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A panic in a hook or a counter of the user's reaches the caller, and costs nothing else:
// the reservation ends, and the bodies are closed.
func TestPanicsCostNothing(t *testing.T) {
	const delta = "data: {\"choices\":[{\"delta\":{\"content\":\"zzz\"}}]}\n\n"
	trace := func(set func(*ratelimiter.Trace)) ratelimiter.Option {
		t := &ratelimiter.Trace{}
		set(t)
		return ratelimiter.WithTrace(t)
	}
	counter := ratelimiter.WithCounter(counterFunc(func(_, _, text string) int {
		if text == "zzz" {
			panic("boom")
		}
		return len(text)
	}))
	for name, c := range map[string]struct {
		option ratelimiter.Option
		path   string
		status int
		body   string
		tokens bool // stay charged
	}{
		"Started": {trace(func(t *ratelimiter.Trace) {
			t.Started = func(context.Context, ratelimiter.StartedInfo) { panic("boom") }
		}), "", 200, usageBody, false},
		"Observed": {trace(func(t *ratelimiter.Trace) {
			t.Observed = func(context.Context, ratelimiter.ObservedInfo) { panic("boom") }
		}), "", 200, usageBody, true},
		"Observed, of no call": {trace(func(t *ratelimiter.Trace) {
			t.Observed = func(context.Context, ratelimiter.ObservedInfo) { panic("boom") }
		}), "http://x/v1/files", 200, usageBody, false},
		"Paused":              {trace(func(t *ratelimiter.Trace) { t.Paused = func(context.Context, ratelimiter.PausedInfo) { panic("boom") } }), "", 429, usageBody, false},
		"Paused, of a stream": {trace(func(t *ratelimiter.Trace) { t.Paused = func(context.Context, ratelimiter.PausedInfo) { panic("boom") } }), "", 200, "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", false},
		"Settled": {trace(func(t *ratelimiter.Trace) {
			t.Settled = func(context.Context, ratelimiter.SettledInfo) { panic("boom") }
		}), "", 200, usageBody, true},
		"Settled, of an error": {trace(func(t *ratelimiter.Trace) {
			t.Settled = func(context.Context, ratelimiter.SettledInfo) { panic("boom") }
		}), "", 400, usageBody, false},
		"Settled, in Close": {trace(func(t *ratelimiter.Trace) {
			t.Settled = func(context.Context, ratelimiter.SettledInfo) { panic("boom") }
		}), "", 200, "", true},
		"a counter of a stream":  {counter, "", 200, delta, true},
		"a counter of a request": {counter, "zzz", 200, usageBody, false},
		"the base":               {nil, "", 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 100, TPM: 100_000}), c.option)
			answer := &trackedBody{Reader: strings.NewReader(c.body)}
			answered := false
			base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if c.status == 0 {
					panic("boom")
				}
				answered = true
				return response(c.status, "text/event-stream", answer), nil
			})
			text := chatBody("m", 5000, true)
			url := chatURL
			if c.path == "zzz" {
				text = strings.Replace(text, "Who is Joseph Conrad?", "zzz", 1)
			} else if c.path != "" {
				url = c.path
			}
			request := &trackedBody{Reader: strings.NewReader(text)}
			panics := func() (p any) {
				defer func() { p = recover() }()
				resp, err := l.Transport(base).RoundTrip(newRequest(t, t.Context(), url, request))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if name == "Settled, in Close" {
					return nil
				}
				_, _ = io.ReadAll(resp.Body)
				return nil
			}
			p := fmt.Sprint(panics())
			if !strings.Contains(p, "boom") {
				t.Errorf("panic %v", p)
			}
			if request.closed.Load() == 0 && c.path == "" {
				t.Error("the request's body is open")
			}
			if answered && answer.closed.Load() == 0 {
				t.Error("the response's body is open")
			}
			state, err := l.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range state.Scopes {
				if s.InFlight != 0 || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
				tpm := remaining(t, l, "m", "tpm")
				if stays := tpm < 99_000; c.body != usageBody && stays != c.tokens {
					t.Errorf("%d tokens remain", tpm)
				}
			}
		})
	}
}

// A hook that closes the body does not deadlock.
func TestHookClosesTheBody(t *testing.T) {
	var body io.Closer
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
		Settled: func(context.Context, ratelimiter.SettledInfo) { body.Close() },
		Paused:  func(context.Context, ratelimiter.PausedInfo) { body.Close() },
	}))
	for _, text := range []string{usageBody, "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n"} {
		resp, err := l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(200, "text/event-stream", io.NopCloser(strings.NewReader(text))), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 100, true))))
		if err != nil {
			t.Fatal(err)
		}
		body = resp.Body
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}
