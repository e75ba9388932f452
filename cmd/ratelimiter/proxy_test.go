package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

// What a limiter in shadow would have made of a call is not what became of it: neither its
// response nor the log says so, also when the proxy ends.
func TestCallInShadow(t *testing.T) {
	a := serveAPI(t, nil)
	upstream, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	decided := make(chan struct{}, 1)
	limiter, err := ratelimiter.New(ratelimiter.WithShadow(), ratelimiter.WithTrace(trace), ratelimiter.WithTrace(&ratelimiter.Trace{
		NotStarted: func(context.Context, ratelimiter.NotStartedInfo) { decided <- struct{}{} }}))
	if err != nil {
		t.Fatal(err)
	}
	if err := limiter.Shutdown(t.Context()); err != nil { // so that it would reject the call
		t.Fatal(err)
	}
	base := newBase()
	defer base.CloseIdleConnections()
	var log bytes.Buffer
	server := httptest.NewServer(newProxy(limiter, afterwards{base, decided}, upstream,
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	resp := do(t, chat(t, server.URL, "m"))
	all(t, resp)
	server.Close() // once the call is logged
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Should-Retry") != "" {
		t.Errorf("%d with %v", resp.StatusCode, resp.Header)
	}
	if got := log.String(); !strings.Contains(got, "call served") || strings.Contains(got, "reject") {
		t.Errorf("it logs %s", got)
	}
}

// afterwards sends a request once something has happened.
type afterwards struct {
	http.RoundTripper
	happens <-chan struct{}
}

func (a afterwards) RoundTrip(req *http.Request) (*http.Response, error) {
	<-a.happens
	return a.RoundTripper.RoundTrip(req)
}
