package main

import (
	"context"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A call that is cut off before its response's head gets none: net/http would make a 200 of a
// handler that just returns.
func TestCutOffWithoutResponse(t *testing.T) {
	a := serveAPI(t, gated(make(chan struct{})))
	upstream, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	limiter, err := ratelimiter.New(ratelimiter.WithTrace(&ratelimiter.Trace{
		Started: func(context.Context, ratelimiter.StartedInfo) { close(arrived) }}))
	if err != nil {
		t.Fatal(err)
	}
	base := newBase()
	defer base.CloseIdleConnections()
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	server := httptest.NewUnstartedServer(newProxy(limiter, base, upstream, slog.New(slog.DiscardHandler)))
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	defer server.Close()
	go func() {
		<-arrived
		cut()
	}()
	if resp, err := client(t).Do(chat(t, server.URL, "m")); err == nil {
		t.Errorf("it got %d", resp.StatusCode)
		resp.Body.Close()
	}
}
