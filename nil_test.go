package ratelimiter_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// What is nil or was not made by New fails with an error that says so, or does nothing.
func TestNilAndZero(t *testing.T) {
	ctx := t.Context()
	call := ratelimiter.Cost{Model: "m", Tokens: 1}
	unused := func(context.Context) (ratelimiter.Usage, error) {
		t.Error("the function ran")
		return ratelimiter.Usage{}, nil
	}
	for name, l := range map[string]*ratelimiter.Limiter{"nil": nil, "zero": {}} {
		_, acquire := l.Acquire(ctx, call)
		_, delay := l.Delay(ctx, call)
		_, state := l.State(ctx)
		for method, err := range map[string]error{
			"Acquire": acquire, "Delay": delay, "State": state,
			"Do":       l.Do(ctx, call, unused),
			"Clear":    l.Clear(ctx, "m"),
			"Shutdown": l.Shutdown(ctx),
		} {
			if !errors.Is(err, ratelimiter.ErrNoLimiter) {
				t.Errorf("%s of a %s limiter: %v", method, name, err)
			}
		}
		for _, base := range []http.RoundTripper{nil, http.DefaultTransport} {
			for from, transport := range map[string]http.RoundTripper{"Transport": l.Transport(base), "Client": l.Client(base).Transport} {
				failsWithoutLimiter(t, from+" of a "+name+" limiter", transport)
			}
			l.Transport(base).CloseIdleConnections()
		}
	}
	for name, transport := range map[string]*ratelimiter.Transport{"nil": nil, "zero": {}} {
		failsWithoutLimiter(t, name+" transport", transport)
		transport.CloseIdleConnections()
	}

	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(nil))
	for name, r := range map[string]*ratelimiter.Reservation{"nil": nil, "zero": {}} {
		r.Settle(ratelimiter.Usage{TotalTokens: 1})
		r.Cancel()
		if c := r.Cost(); c != (ratelimiter.Cost{}) {
			t.Errorf("a %s reservation costs %+v", name, c)
		}
		ctx := ratelimiter.ContextWithTrace(ratelimiter.ContextWithReservation(ctx, r), nil)
		resp, err := l.Client(answering(usageBody)).Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatalf("with a %s reservation: %v", name, err)
		}
		resp.Body.Close()
	}
	if state := scopeOf(t, l, "m"); state.InFlight != 0 {
		t.Errorf("%+v", state)
	}

	for name, call := range map[string]ratelimiter.Call{
		"nil":              nil,
		"nil Cost":         (*ratelimiter.Cost)(nil),
		"nil Chat":         (*ratelimiter.Chat)(nil),
		"nil Text":         (*ratelimiter.Text)(nil),
		"nil Image":        (*ratelimiter.Image)(nil),
		"nil Embedding":    (*ratelimiter.Embedding)(nil),
		"nil of a user's":  (*usersCall)(nil),
		"without a path":   ratelimiter.JSON("", nil),
		"an unlimited one": ratelimiter.JSON("models", nil),
	} {
		r, acquire := l.Acquire(ctx, call)
		_, delay := l.Delay(ctx, call)
		for method, err := range map[string]error{"Acquire": acquire, "Delay": delay, "Do": l.Do(ctx, call, unused)} {
			if err == nil || !strings.HasPrefix(err.Error(), "ratelimiter: ") {
				t.Errorf("%s of a %s call: %v", method, name, err)
			}
		}
		if r != nil {
			t.Errorf("a %s call has a reservation", name)
		}
	}
	for name, call := range map[string]ratelimiter.Call{
		"Cost": &ratelimiter.Cost{}, "Chat": &ratelimiter.Chat{}, "Text": ratelimiter.Text{}, "Image": ratelimiter.Image{},
		"Embedding": ratelimiter.Embedding{}, "body": ratelimiter.JSON("chat/completions", nil),
	} {
		r, err := l.Acquire(ctx, call)
		if err != nil {
			t.Errorf("an empty %s: %v", name, err)
		}
		r.Cancel()
	}

	for name, e := range map[string]*ratelimiter.Error{"nil": nil, "zero": {}} {
		if e.Error() == "" || errors.Is(e, ratelimiter.ErrMaxWait) || errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("a %s error: %v", name, e)
		}
	}
}

type usersCall struct{ body string }

func (c *usersCall) Request() (string, []byte, error) { return "chat/completions", []byte(c.body), nil }

// failsWithoutLimiter expects a transport to fail, and to close the request's body.
func failsWithoutLimiter(t *testing.T, name string, transport http.RoundTripper) {
	t.Helper()
	body := &trackedBody{Reader: strings.NewReader(chatBody("m", 1, false))}
	resp, err := transport.RoundTrip(newRequest(t, t.Context(), chatURL, body))
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ratelimiter.ErrNoLimiter) || body.closed.Load() != 1 {
		t.Errorf("%s: %v, body closed %d times", name, err, body.closed.Load())
	}
}
