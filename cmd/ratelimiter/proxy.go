package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// The headers by which a request says of which class it is, and on whose behalf it is made.
// They are not sent upstream. None names the account: each name would have a budget of its own,
// so that a client could spend more than the limits by making up names.
const (
	classHeader  = "X-Ratelimit-Class"
	tenantHeader = "X-Ratelimit-Tenant"
)

// newBase returns what sends requests upstream. It asks for no compression that the client has not
// asked for, so that a response passes as it is.
func newBase() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024
	t.ResponseHeaderTimeout = 10 * time.Minute // as openai-go's own client has
	return t
}

// A proxy sends requests upstream through the limiter.
type proxy struct {
	reverse *httputil.ReverseProxy
	log     *slog.Logger
	calls   counter // that are being served, also those whose connection is a WebSocket's
}

func newProxy(limiter *ratelimiter.Limiter, base http.RoundTripper, upstream *url.URL, log *slog.Logger) *proxy {
	p := &proxy{log: log}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is, also where it can't be parsed
			r.SetURL(upstream)
			r.Out.Header.Del(classHeader)
			r.Out.Header.Del(tenantHeader)
			r.Out.Header.Del("Expect") // the body is here before the request is sent
		},
		Transport:      limiter.Transport(base),
		FlushInterval:  -1, // each chunk at once
		BufferPool:     &buffers{},
		ModifyResponse: p.responded,
		ErrorHandler:   p.failed,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return p
}

// A call is one request on its way, for the log.
type call struct {
	model, class string
	rejection    *ratelimiter.Error
	waited       time.Duration
	status       int
}

type callKey struct{}

// callOf is nil for what is not a request's context.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// trace tells calls what the limiter made of them, but in shadow: there it makes nothing of
// them, and hooks run while the call goes on.
var trace = &ratelimiter.Trace{
	Started: func(ctx context.Context, i ratelimiter.StartedInfo) {
		if c := callOf(ctx); c != nil && !i.Shadow {
			c.model, c.class, c.waited = i.Model, i.Class, i.Waited
		}
	},
	NotStarted: func(ctx context.Context, i ratelimiter.NotStartedInfo) {
		if c := callOf(ctx); c != nil && !i.Shadow {
			c.model, c.class, c.waited = i.Model, i.Class, i.Waited
			errors.As(i.Err, &c.rejection)
		}
	},
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.calls.begin()
	defer p.calls.end()
	if req.Method == http.MethodConnect { // which is for other proxies
		respond(w, http.StatusMethodNotAllowed, "method", "this proxy has one upstream and takes no CONNECT: set OPENAI_BASE_URL to it, not HTTPS_PROXY")
		return
	}
	c := new(call)
	ctx := context.WithValue(req.Context(), callKey{}, c)
	if class := req.Header.Get(classHeader); class != "" {
		ctx = ratelimiter.ContextWithClass(ctx, class)
	}
	if tenant := req.Header.Get(tenantHeader); tenant != "" {
		ctx = ratelimiter.ContextWithTenant(ctx, tenant)
	}
	if req.Header.Get("Upgrade") != "" {
		w = &upgrade{w, ctx}
	}
	begun := time.Now()
	defer func() { p.report(ctx, req, c, time.Since(begun)) }() // also of a stream that breaks off, which is a panic
	p.reverse.ServeHTTP(w, req.WithContext(ctx))
}

// responded sees the head of each response. A call that is rejected because the proxy ends should come
// again, to another one or to the next: SDKs do that by themselves if they are told to.
func (p *proxy) responded(resp *http.Response) error {
	c := callOf(resp.Request.Context())
	c.status = resp.StatusCode
	if errors.Is(c.rejection, ratelimiter.ErrShutdown) {
		resp.Header.Set("X-Should-Retry", "true")
		resp.Header.Set("Retry-After", "1")
	}
	return nil
}

// failed answers a request that got no response.
func (p *proxy) failed(w http.ResponseWriter, req *http.Request, err error) {
	c := callOf(req.Context())
	if req.Context().Err() != nil { // the client has left, or the proxy ends
		c.status = statusClientClosed
		panic(http.ErrAbortHandler) // else it were a 200
	}
	c.status = http.StatusBadGateway
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.status = http.StatusGatewayTimeout
	}
	p.log.WarnContext(req.Context(), "no response from upstream", "method", req.Method, "path", req.URL.Path, "error", err)
	respond(w, c.status, "upstream", "no response from upstream: "+err.Error())
}

// statusClientClosed is what logs call a request whose client has left, as nginx does.
const statusClientClosed = 499

// respond answers with an error in OpenAI's form.
func respond(w http.ResponseWriter, status int, code, message string) {
	type object map[string]any
	body, err := json.Marshal(object{"error": object{"message": "ratelimiter: " + message, "type": "ratelimiter", "param": nil, "code": code}})
	if err != nil { // of strings there is none
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left cannot be told
}

// report logs a call. Neither headers nor the query are in it, which may have keys.
func (p *proxy) report(ctx context.Context, req *http.Request, c *call, took time.Duration) {
	level, message := slog.LevelDebug, "call served"
	switch {
	case errors.Is(c.rejection, ratelimiter.ErrBackend): // somebody has to do something
		level, message = slog.LevelWarn, "call rejected"
	case c.rejection != nil:
		level, message = slog.LevelInfo, "call rejected"
	}
	if !p.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", req.Method), slog.String("path", req.URL.Path), slog.Int("status", c.status)}
	for _, a := range []slog.Attr{slog.String("model", c.model), slog.String("class", c.class)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if c.rejection != nil {
		attrs = append(attrs, slog.String("reason", c.rejection.Code()), slog.String("error", c.rejection.Error()))
	}
	p.log.LogAttrs(ctx, level, message, append(attrs, slog.Duration("waited", c.waited), slog.Duration("took", took))...)
}
