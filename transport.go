package ratelimiter

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Transport is an http.RoundTripper that lets each request to OpenAI's API
// wait until its budget is free. Requests that it does not know pass unread.
//
// It does not retry and sets no timeout: retries belong to the SDK, and each of
// them is charged, for failed requests count. The wait happens inside
// RoundTrip, so an http.Client.Timeout and openai-go's WithRequestTimeout
// include it; bound the wait with [WithMaxWait] or a context, and the server
// with the base's ResponseHeaderTimeout.
//
// What a response continues (previous_response_id, conversation) is input that the
// body does not show. It is charged as what the answer before said its context was,
// where this process has seen that answer: the last few thousand of an account are
// remembered, in memory, since a store would cost a trip for a guess that the call's
// own answer corrects.
//
// A refusal is returned as an [*Error]. Batch jobs and the frames of Realtime
// connections are not limited.
type Transport struct {
	limiter *Limiter
	base    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	endpoint, deployment := wire.Classify(req)
	if endpoint == wire.None {
		return t.pass(req)
	}
	body, err := readBody(req, bodyCap)
	if err != nil {
		return nil, err
	}
	e := t.limiter.estimateRequest(req, endpoint, deployment, body)
	r, err := t.reserve(req, e)
	if err != nil {
		body.Close()
		return nil, err
	}
	sent, written := watchWrite(req)
	body.attach(sent)
	resp, err := t.base.RoundTrip(sent)
	if err != nil || resp == nil {
		r.unanswered(written.never(err))
		return resp, err
	}
	resp.Request = req
	r.onItsWay(written)
	r.answered(req.Context(), resp)
	return resp, nil
}

// CloseIdleConnections closes those of the base, as http.Client expects.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// pass sends what is not limited.
func (t *Transport) pass(req *http.Request) (*http.Response, error) {
	started := time.Now()
	resp, err := t.base.RoundTrip(req)
	if err == nil && resp != nil {
		h := wire.ParseHeaders(resp.Header)
		t.limiter.traceObserved(req.Context(), ObservedInfo{
			Status: resp.StatusCode, Latency: time.Since(started),
			Requests: observation(h.Requests), Tokens: observation(h.Tokens),
		})
	}
	return resp, err
}

// reserve takes the reservation that the context brings, or acquires one.
func (t *Transport) reserve(req *http.Request, e estimate) (*Reservation, error) {
	ctx := req.Context()
	if r, ok := value[*Reservation](ctx, reservationKey); ok && r != nil &&
		r.scope.account.limiter == t.limiter && !r.ended.Load() && r.claimed.CompareAndSwap(false, true) {
		r.scope.account.mu.Lock()
		r.started = time.Now() // the caller may have taken its time
		r.scope.account.mu.Unlock()
		return r, nil
	}
	retry := req.Header.Get("X-Stainless-Retry-Count")
	a := t.limiter.account(t.limiter.accountOf(req))
	r, err := a.acquire(ctx, e.model, e, retry != "" && retry != "0")
	if err != nil {
		return nil, err
	}
	r.claimed.Store(true)
	r.ctx = context.WithoutCancel(ctx)
	return r, nil
}

// unanswered ends the reservation of a request that got no response.
func (r *Reservation) unanswered(neverSent bool) {
	if neverSent {
		r.Cancel()
		return
	}
	r.Settle(Usage{}) // the server may have counted it
}

// answered reads the headers of a response and lets its body be metered.
func (r *Reservation) answered(ctx context.Context, resp *http.Response) {
	r.observe(ctx, resp)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody:
		r.endWithoutUsage(resp.StatusCode)
	case mayRefuse(resp.StatusCode):
		body := newPeekedBody(ctx, resp.Body)
		resp.Body = body
		refusal := wire.ParseRefusal(resp.StatusCode, resp.Header, body.peek())
		if refusal.Kind != wire.Other || resp.StatusCode == http.StatusTooManyRequests {
			r.refused(ctx, refusal)
		}
		r.endWithoutUsage(resp.StatusCode)
	case resp.StatusCode >= 400:
		r.endWithoutUsage(resp.StatusCode)
	default:
		resp.Body = newMeteredBody(r, resp)
	}
}

// mayRefuse reports whether a response of this status may be about limits or
// money: slow_down was a 503, a quota's refusal is a 402 or 403 with some, and that of
// a hard limit on the bill a 400.
func mayRefuse(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusTooManyRequests, http.StatusPaymentRequired, http.StatusForbidden, http.StatusServiceUnavailable:
		return true
	}
	return false
}

// endWithoutUsage settles a call whose answer has no usage, by its status.
func (r *Reservation) endWithoutUsage(status int) {
	final := r.estimate.cost
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		if r.informed {
			break // the headers tell what the server keeps
		}
		fallthrough
	case http.StatusTooManyRequests:
		// The request counts, what it would have used does not.
		final[backend.Tokens], final[backend.Images] = 0, 0
	}
	r.finish(final, Usage{}, false)
}

// writeWatch tells whether a request has been written.
type writeWatch struct {
	connected, wrote atomic.Bool
	at               atomic.Int64 // when all of it was, in nanoseconds since 1970
}

// watchWrite returns the request to send: the caller's, with hooks of our own.
func watchWrite(req *http.Request) (*http.Request, *writeWatch) {
	w := new(writeWatch)
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn:      func(string) { w.connected.Store(true) },
		WroteHeaders: func() { w.wrote.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { w.at.Store(time.Now().UnixNano()) },
	})
	return req.WithContext(ctx), w
}

// onItsWay notes how long the request took from its start until it was written:
// connections must be made, and the machine may be busy.
func (r *Reservation) onItsWay(w *writeWatch) {
	at := w.at.Load()
	if at == 0 {
		return // a base that runs no hooks, or an answer that came first
	}
	r.scope.account.mu.Lock()
	defer r.scope.account.mu.Unlock()
	after := time.Duration(at - r.started.UnixNano())
	for _, sent := range r.sent {
		// All must hold back the same, or those who hold back more get less.
		r.scope.exchange.news = sent.limit.reached(after) || r.scope.exchange.news
	}
}

// never reports whether the request that failed with err never left. A base
// that runs no hooks is only believed where it failed to dial.
func (w *writeWatch) never(err error) bool {
	if w.connected.Load() {
		return !w.wrote.Load()
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
