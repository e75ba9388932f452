package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
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
			state := stateOf(t, l)
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

// A breakingBody panics once its bytes are read.
type breakingBody struct {
	trackedBody
	with any
}

func (b *breakingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		panic(b.with)
	}
	return n, err
}

// A response's body that panics does so on its reader's goroutine, also where it was read
// ahead on another, after all that has come. The call is over then.
func TestResponseThatPanics(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		stays  bool // its tokens
	}{
		"a stream":                {200, "data: {\"choices\":[{\"delta\":{\"content\":\"zzz\"}}]}\n\n", true},
		"a stream, at once":       {200, "", true},
		"a throttle":              {429, `{"error":{"message":"`, false},
		"a throttle, at once":     {429, "", false},
		"a failure":               {500, `{"error":{"message":"`, true},
		"more than is read ahead": {500, strings.Repeat("x", 20_000), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("a"),
				ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 100, TPM: 100_000, Concurrent: 1}))
			body := &breakingBody{trackedBody{Reader: strings.NewReader(c.body)}, &c}
			resp, err := l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
				return response(c.status, "text/event-stream", body), nil
			})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 5000, true))))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			p := panics(func() {
				for buf := make([]byte, 1000); ; {
					n, err := resp.Body.Read(buf)
					got = append(got, buf[:n]...)
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
			if p != &c || string(got) != c.body {
				t.Errorf("recovered %v after %q", p, got)
			}
			if body.closed.Load() == 0 {
				t.Error("it is open")
			}
			state := stateOf(t, l)
			if s := state.Scopes[0]; s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
			if tpm := remaining(t, l, "m", "tpm"); (tpm < 99_000) != c.stays {
				t.Errorf("%d tokens remain", tpm)
			}
			if c.status != http.StatusTooManyRequests { // which pauses the model
				acquire(t, l, ratelimiter.Cost{Model: "m"}).Cancel() // its slot is free
			}
		})
	}
}

// A request's body that panics is closed, and is charged nothing.
func TestRequestThatPanics(t *testing.T) {
	synctest.Test(t, requestThatPanics)
}

func requestThatPanics(t *testing.T) {
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 100}))
	ctx, cancel := context.WithCancel(t.Context())
	body := &breakingBody{trackedBody{Reader: strings.NewReader(`{"model":"m"`)}, "boom"}
	p := panics(func() {
		_, _ = l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			t.Error("it is sent")
			return nil, io.EOF
		})).RoundTrip(newRequest(t, ctx, chatURL, body))
	})
	cancel() // which would end a Read that hangs
	synctest.Wait()
	if closed := body.closed.Load(); p != "boom" || closed != 1 {
		t.Errorf("recovered %v, closed %d times", p, closed)
	}
	if state, err := l.State(t.Context()); err != nil || len(state.Scopes) > 0 && !state.Scopes[0].Unused {
		t.Errorf("%+v, %v", state, err)
	}
}

// A panickingStore is a store of which any command may panic.
type panickingStore struct {
	*store
	panics atomic.Bool
}

func (s *panickingStore) boom() {
	if s.panics.Load() {
		panic("boom")
	}
}

func (s *panickingStore) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	s.boom()
	return s.store.Take(ctx, ask)
}

func (s *panickingStore) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	s.boom()
	return s.store.Look(ctx, ask)
}

func (s *panickingStore) Settle(ctx context.Context, settlement backend.Settlement) error {
	s.boom()
	return s.store.Settle(ctx, settlement)
}

// The panic of a backend is a failure like others: whoever asks gets it as an error, on
// whatever goroutine it was asked, or what stands in takes over. Calls go on when it works
// again.
func TestBackendThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &panickingStore{store: newStore()}
		logger, log := logged()
		var asked []error
		var mu sync.Mutex
		l := newWarm(t, ratelimiter.WithBackend(s), ratelimiter.WithWarnings(logger, 0),
			ratelimiter.WithTrace(&ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, i.Err)
			}}))
		held := acquire(t, l, tokens(600))
		waits := make(chan error)
		go func() { _, err := l.Acquire(t.Context(), tokens(600)); waits <- err }()
		synctest.Wait()
		s.panics.Store(true)
		if err := <-waits; !errors.Is(err, ratelimiter.ErrBackend) || !strings.Contains(err.Error(), "boom") {
			t.Errorf("who waits gets %v", err)
		}
		for name, ctx := range map[string]context.Context{"aside": t.Context(), "on the caller's goroutine": context.Background()} {
			if _, err := l.Acquire(ctx, tokens(1)); !errors.Is(err, ratelimiter.ErrBackend) || !strings.Contains(err.Error(), "boom") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := l.State(t.Context()); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("State: %v", err)
		}
		held.Cancel() // which the store does not get to know
		synctest.Wait()
		s.panics.Store(false)
		time.Sleep(2 * time.Minute)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		if waiting, _ := inLine(t, l, "m"); waiting != 0 {
			t.Errorf("%d wait", waiting)
		}
		if got := log.take(); !strings.Contains(got, `level=ERROR msg="ratelimiter: panic of the backend" ratelimiter.panic=boom`) || !strings.Contains(got, "panic_test.go") {
			t.Errorf("logged %s", got)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(asked, func(err error) bool { return err != nil && strings.Contains(err.Error(), "boom") }) {
			t.Errorf("asked: %v", asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &panickingStore{store: newStore()}
		l := newWarm(t, ratelimiter.WithBackend(s), ratelimiter.WithFailOpen(), ratelimiter.WithWarnings(nil, 0))
		s.panics.Store(true)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
	})
}

// A base that panics leaves no call in flight.
func TestBaseThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) { panic("base") }))
		if p := panics(func() {
			resp, err := client.Do(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 100, false))))
			if err == nil {
				resp.Body.Close()
			}
		}); p != "base" {
			t.Errorf("recovered %v", p)
		}
		if state := scopeOf(t, l, "m"); state.InFlight != 0 || remaining(t, l, "m", "rpm") != 599 {
			t.Errorf("%+v", state)
		}
	})
}
