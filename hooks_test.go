package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// panics returns what f panics with.
func panics(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// hooked is a trace of which one hook panics once it is armed.
func hooked(name string, armed *bool) *ratelimiter.Trace {
	boom := func(hook string) {
		if hook == name && *armed {
			*armed = false
			panic("hook")
		}
	}
	return &ratelimiter.Trace{
		Waiting:     func(context.Context, ratelimiter.WaitingInfo) { boom("Waiting") },
		Started:     func(context.Context, ratelimiter.StartedInfo) { boom("Started") },
		Observed:    func(context.Context, ratelimiter.ObservedInfo) { boom("Observed") },
		Paused:      func(context.Context, ratelimiter.PausedInfo) { boom("Paused") },
		Settled:     func(context.Context, ratelimiter.SettledInfo) { boom("Settled") },
		Credentials: func(context.Context, ratelimiter.CredentialsInfo) { boom("Credentials") },
	}
}

// A hook that panics does so in what its caller has called, and costs nothing else: the
// call is not in flight any more, bodies are closed, and the limiter goes on.
func TestHookThatPanics(t *testing.T) {
	const throttle = `{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}`
	for _, x := range []struct {
		hook, answer string
		status       int
		waits        bool
		requests     int64 // that stay charged
	}{
		{"Waiting", usageBody, 200, true, 1}, // the one before
		{"Started", usageBody, 200, false, 0},
		{"Observed", usageBody, 200, false, 1},
		{"Observed", throttle, 429, false, 1},
		{"Paused", throttle, 429, false, 1},
		{"Settled", throttle, 429, false, 1},
		{"Settled", usageBody, 200, false, 1},
		{"Paused in the body", "data: " + throttle + "\n\n", 200, false, 1},
	} {
		for _, ofContext := range []bool{true, false} {
			for _, reads := range []bool{true, false} {
				if !reads && strings.HasSuffix(x.hook, "body") {
					continue // nobody sees it
				}
				name := x.hook + " " + http.StatusText(x.status)
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						armed, others := false, 0
						trace := hooked(strings.Fields(x.hook)[0], &armed)
						limiters, ctx := trace, t.Context()
						if ofContext {
							limiters = &ratelimiter.Trace{Settled: func(context.Context, ratelimiter.SettledInfo) { others++ }}
							ctx = ratelimiter.ContextWithTrace(ctx, trace)
						}
						l := newWarm(t, ratelimiter.WithTrace(limiters))
						others = 0
						typ := "application/json"
						if strings.HasPrefix(x.answer, "data:") {
							typ = "text/event-stream"
						}
						upstream := &trackedBody{Reader: strings.NewReader(x.answer)}
						client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
							io.Copy(io.Discard, r.Body)
							return response(x.status, typ, upstream), nil
						}))
						if x.waits {
							acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
							others = 0
						}
						armed = true
						request := &trackedBody{Reader: strings.NewReader(chatBody("m", 100, false))}
						var body io.ReadCloser
						p := panics(func() {
							resp, err := client.Do(newRequest(t, ctx, chatURL, request))
							if err != nil {
								t.Fatal(err)
							}
							body = resp.Body
							if reads {
								io.Copy(io.Discard, body)
							}
							body.Close()
						})
						if body != nil {
							body.Close() // as callers defer
						}
						if p != "hook" {
							t.Fatalf("recovered %v", p)
						}
						if request.closed.Load() == 0 {
							t.Error("the request's body was not closed")
						}
						if sent := x.hook != "Waiting" && x.hook != "Started"; sent && upstream.closed.Load() == 0 {
							t.Error("the response's body was not closed")
						}
						synctest.Wait()
						if state := scopeOf(t, l, "m"); state.InFlight != 0 || state.Waiting != 0 {
							t.Errorf("%+v", state)
						}
						if want := 1; ofContext && x.hook != "Waiting" && others != want {
							t.Errorf("the limiter's hook was called %d times", others)
						}
						if left := remaining(t, l, "m", "rpm"); left != 600-x.requests {
							t.Errorf("%d requests remain", left)
						}
						time.Sleep(2 * time.Minute)
						acquire(t, l, tokens(590)).Cancel()
					})
				})
			}
		}
	}
}

// The same of the hook that tells of many credentials: the request which is the last straw is
// sent by nobody, and stands in nobody's account.
func TestCredentialsHookThatPanics(t *testing.T) {
	for _, ofContext := range []bool{true, false} {
		armed, sent := false, 0
		trace := hooked("Credentials", &armed)
		var options []ratelimiter.Option
		ctx := t.Context()
		if ofContext {
			ctx = ratelimiter.ContextWithTrace(ctx, trace)
		} else {
			options = append(options, ratelimiter.WithTrace(trace))
		}
		l := newLimiter(t, options...)
		c := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			sent++
			io.Copy(io.Discard, r.Body)
			return response(200, "application/json", io.NopCloser(strings.NewReader(usageBody))), nil
		}))
		body := new(trackedBody)
		call := func(key int) {
			body = &trackedBody{Reader: strings.NewReader(chatBody("m", 100, false))}
			req := newRequest(t, ctx, chatURL, body)
			req.Header.Set("Authorization", fmt.Sprint("Bearer key-", key))
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		armed = true
		key := 0
		var p any
		for ; p == nil && key < 1000; key++ {
			p = panics(func() { call(key) })
		}
		if p != "hook" || armed || sent != key-1 {
			t.Fatalf("recovered %v from the %d. call, of which %d were sent", p, key, sent)
		}
		if body.closed.Load() == 0 {
			t.Error("the request's body was not closed")
		}
		call(key) // which is of another account
		call(key - 1)
		for _, name := range l.Accounts() {
			state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), name))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range state.Scopes {
				if s.InFlight != 0 || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
			}
		}
	}
}

// The same of a call without HTTP, and of one whose function panics.
func TestHookThatPanicsInDo(t *testing.T) {
	for _, hook := range []string{"Started", "Settled", "function", "exit"} {
		t.Run(hook, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				armed := false
				l := newWarm(t, ratelimiter.WithTrace(hooked(hook, &armed)))
				armed = true
				done := make(chan any, 1)
				go func() {
					defer close(done)
					done <- panics(func() {
						_ = l.Do(t.Context(), tokens(100), func(context.Context) (ratelimiter.Usage, error) {
							switch hook {
							case "function":
								panic("hook")
							case "exit":
								runtime.Goexit()
							}
							return ratelimiter.Usage{TotalTokens: 50}, nil
						})
					})
				}()
				if p := <-done; p != "hook" && hook != "exit" {
					t.Errorf("recovered %v", p)
				}
				if state := scopeOf(t, l, "m"); state.InFlight != 0 {
					t.Errorf("%+v", state)
				}
			})
		})
	}
}

// A request that is not limited has its body closed too.
func TestHookThatPanicsForOtherRequests(t *testing.T) {
	armed := true
	l := newLimiter(t, ratelimiter.WithTrace(hooked("Observed", &armed)))
	upstream := &trackedBody{Reader: strings.NewReader("{}")}
	client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return response(200, "application/json", upstream), nil
	}))
	p := panics(func() {
		resp, err := client.Get("https://api.openai.com/v1/models")
		if err == nil {
			resp.Body.Close()
		}
	})
	if p != "hook" || upstream.closed.Load() != 1 {
		t.Errorf("recovered %v, closed %d times", p, upstream.closed.Load())
	}
}

// No hook runs under a lock: each may close the body, ask the limiter and make calls.
func TestHooksMayDoAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *ratelimiter.Limiter
		var body io.Closer
		inside, ran := false, 0
		anything := func() {
			if inside || l == nil {
				return
			}
			inside = true
			defer func() { inside = false }()
			ran++
			if body != nil {
				body.Close()
			}
			_, _ = l.State(t.Context())
			_, _ = l.Delay(t.Context(), tokens(10))
			r, err := l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 0), tokens(1))
			if err == nil {
				r.Cancel()
			}
		}
		trace := &ratelimiter.Trace{
			Waiting:  func(context.Context, ratelimiter.WaitingInfo) { anything() },
			Started:  func(context.Context, ratelimiter.StartedInfo) { anything() },
			Observed: func(context.Context, ratelimiter.ObservedInfo) { anything() },
			Paused:   func(context.Context, ratelimiter.PausedInfo) { anything() },
			Settled:  func(context.Context, ratelimiter.SettledInfo) { anything() },
		}
		made := newWarm(t, ratelimiter.WithTrace(trace))
		l = made
		const stream = "data: {\"error\":{\"message\":\"Rate limit reached\",\"code\":\"rate_limit_exceeded\"}}\n\n"
		for _, x := range []struct{ typ, body string }{{"application/json", usageBody}, {"text/event-stream", stream}} {
			client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
				return response(200, x.typ, io.NopCloser(strings.NewReader(x.body))), nil
			}))
			resp, err := client.Do(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 10, false))))
			if err != nil {
				t.Fatal(err)
			}
			body = resp.Body
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			body = nil
			time.Sleep(2 * time.Minute)
		}
		if ran < 6 {
			t.Errorf("%d hooks ran", ran)
		}
	})
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

// A hook that belongs to no call harms nobody if it panics: the others run, and it is logged.
func TestHooksOfNoCallThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		logger, log := logged()
		told := 0
		l := newWarm(t, ratelimiter.WithBackend(s), ratelimiter.WithFailOpen(), ratelimiter.WithWarnings(logger, 0),
			ratelimiter.WithTrace(&ratelimiter.Trace{
				Command: func(ratelimiter.CommandInfo) { panic("command") },
				Backend: func(error) { panic("backend") },
			}),
			ratelimiter.WithTrace(&ratelimiter.Trace{Backend: func(error) { told++ }}))
		s.down.Store(true)
		acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{})
		got := log.take()
		for _, p := range []string{"panic=command", "panic=backend"} {
			if !strings.Contains(got, `msg="ratelimiter: panic of a hook that belongs to no call" ratelimiter.`+p) {
				t.Errorf("%s is not in %s", p, got)
			}
		}
		if told != 1 {
			t.Errorf("the other hook was told %d times", told)
		}
	})
}
