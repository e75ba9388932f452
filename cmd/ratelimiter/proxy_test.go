package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

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
	var log bytes.Buffer
	server := httptest.NewUnstartedServer(newProxy(limiter, base, upstream, logTo(&log)))
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
	server.Close() // once the call is logged
	if got := log.String(); !strings.Contains(got, "status=499") {
		t.Errorf("it logs %s", got)
	}
}

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// What gets no response from upstream gets one of the proxy's: the API that says nothing for too long,
// and what is asked of another kind of proxy.
func TestOwnResponses(t *testing.T) {
	a := serveAPI(t, gated(make(chan struct{})))
	upstream, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := ratelimiter.New()
	if err != nil {
		t.Fatal(err)
	}
	base := newBase()
	defer base.CloseIdleConnections()
	base.ResponseHeaderTimeout = time.Millisecond
	var log bytes.Buffer
	p := newProxy(limiter, base, upstream, logTo(&log))
	for _, x := range []struct {
		method, code string
		status       int
	}{
		{http.MethodPost, "upstream", http.StatusGatewayTimeout},
		{http.MethodConnect, "method", http.StatusMethodNotAllowed},
	} {
		req := chat(t, "http://proxy", "m")
		req.Method = x.method
		resp := httptest.NewRecorder()
		if p.ServeHTTP(resp, req); resp.Code != x.status || !strings.Contains(resp.Body.String(), fmt.Sprintf(`"code":%q`, x.code)) {
			t.Errorf("%s: %d %s", x.method, resp.Code, resp.Body)
		}
	}
	if got := log.String(); !strings.Contains(got, "status=504") {
		t.Errorf("it logs %s", got)
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
	server := httptest.NewServer(newProxy(limiter, afterwards{base, decided}, upstream, logTo(&log)))
	resp := do(t, chat(t, server.URL, "m"))
	all(t, resp)
	server.Close() // once the call is logged
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Should-Retry") != "" {
		t.Errorf("%d with %v", resp.StatusCode, resp.Header)
	}
	if got := log.String(); !strings.Contains(got, "call served") || !strings.Contains(got, "status=200") || strings.Contains(got, "reject") {
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
