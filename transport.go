package ratelimiter

import (
	"context"
	"net/http"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Transport is an http.RoundTripper that lets each request to OpenAI's API
// wait until its budget is available. Requests that it does not know pass unread.
//
// It does not retry and sets no timeout: retries belong to the SDK, and each of
// them is charged, for failed requests count. The wait happens inside
// RoundTrip, so an http.Client.Timeout and openai-go's WithRequestTimeout
// include it; bound the wait with [WithMaxWait] or a context, and the server
// with the base's ResponseHeaderTimeout.
//
// What a response continues (previous_response_id, conversation) is input that the
// body does not show. It is charged as what the response before reported its context
// to be, where this process has seen that response: the last few thousand of an account
// are remembered, in memory, since a store would cost a trip for a guess that the call's
// own response corrects.
//
// A rejection is returned as an [*Error]. Batch jobs and the frames of Realtime
// connections are not limited.
type Transport struct {
	limiter *Limiter
	base    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.check(); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	endpoint, deployment := t.limiter.config.classify(req)
	if endpoint == wire.None {
		return t.pass(req)
	}
	body, err := readBody(req, bodyCap)
	if err != nil {
		return nil, err
	}
	r, err := t.reserve(req, endpoint, deployment, body)
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
	r.observe(req.Context(), resp, written)
	r.meter(req.Context(), resp)
	return resp, nil
}

// CloseIdleConnections closes those of the base, as http.Client expects.
func (t *Transport) CloseIdleConnections() {
	if t == nil {
		return
	}
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// check reports whether the Transport was made by a Limiter that was made by New.
func (t *Transport) check() error {
	if t == nil || t.base == nil {
		return &Error{Reason: ErrNoLimiter}
	}
	return t.limiter.check()
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

// reserve takes the reservation that the context brings, or makes one and waits until the
// request may start.
func (t *Transport) reserve(req *http.Request, e wire.Endpoint, deployment string, b *requestBody) (*Reservation, error) {
	ctx := req.Context()
	r := &Reservation{limiter: t.limiter}
	r.estimateRequest(req, e, deployment, b)
	if brought, ok := value[*Reservation](ctx, reservationKey); ok && brought.claim(t.limiter) {
		return brought, nil
	}
	call := &r.engine.Call
	call.Account = t.limiter.accountOf(req)
	retry := req.Header.Get("X-Stainless-Retry-Count")
	call.Retry = retry != "" && retry != "0"
	if err := r.admit(ctx); err != nil {
		return nil, err
	}
	r.claimed.Store(true)
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

// observe takes in the headers of a response.
func (r *Reservation) observe(ctx context.Context, resp *http.Response, written *writeWatch) {
	head := engine.Response{Status: resp.StatusCode, Headers: wire.ParseHeaders(resp.Header), Written: written.time()}
	latency := r.engine.Observe(&head)
	r.limiter.traceObserved(ctx, ObservedInfo{
		Account: r.engine.Call.Account, Model: r.engine.Call.Model, Status: resp.StatusCode, Latency: latency,
		Requests: observation(head.Headers.Requests), Tokens: observation(head.Headers.Tokens),
		Charged: head.Headers.QueryCost,
	})
}

func observation(w wire.Window) Observation {
	return Observation{Limit: w.Limit, Remaining: w.Remaining, Reset: w.Reset}
}

// meter lets the response's body settle the reservation, or settles it at once where the
// body has no usage.
func (r *Reservation) meter(ctx context.Context, resp *http.Response) {
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody:
		r.failed(resp.StatusCode)
	case mayThrottle(resp.StatusCode):
		body := newPeekedBody(ctx, resp.Body)
		resp.Body = body
		refusal := wire.ParseThrottle(resp.StatusCode, resp.Header, body.peek())
		if refusal.Kind != wire.Other || resp.StatusCode == http.StatusTooManyRequests {
			r.throttled(ctx, &refusal)
		}
		r.failed(resp.StatusCode)
	case resp.StatusCode >= 400:
		r.failed(resp.StatusCode)
	default:
		resp.Body = newMeteredBody(r, resp)
	}
}

// mayThrottle reports whether a response of this status may be about limits or money:
// slow_down was a 503, a quota's error is a 402 or 403 with some, and that of a hard limit
// on the bill a 400.
func mayThrottle(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusTooManyRequests, http.StatusPaymentRequired, http.StatusForbidden, http.StatusServiceUnavailable:
		return true
	}
	return false
}

// failed settles a call whose response has no usage, by its status.
func (r *Reservation) failed(status int) {
	var o engine.Outcome
	if status >= 400 {
		o.Failed = status
	}
	r.end(&o)
}

var kinds = map[wire.Kind]string{
	wire.Other: "other", wire.RateLimit: "rate_limit", wire.TooLarge: "too_large",
	wire.Quota: "quota", wire.SlowDown: "slow_down", wire.Unavailable: "unavailable",
}

// throttled takes in an error response that is about limits or money.
func (r *Reservation) throttled(ctx context.Context, t *wire.Throttle) {
	info := PausedInfo{Account: r.engine.Call.Account, Model: r.engine.Call.Model, Kind: kinds[t.Kind], Message: t.Message}
	switch t.Kind {
	case wire.RateLimit, wire.SlowDown:
		info.For = r.engine.Throttled(t)
	case wire.TooLarge:
		r.engine.TooLarge(t)
	}
	r.limiter.tracePaused(ctx, info)
}
