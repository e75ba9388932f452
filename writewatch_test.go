package ratelimiter

import (
	"context"
	"net/http"
	"net/http/httptrace"
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
