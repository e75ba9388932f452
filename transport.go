package ratelimiter

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Transport is an http.RoundTripper that lets each request to OpenAI's API
// wait until its budget is available. Requests that it does not know pass unread. It is safe for
// concurrent use.
//
// It does not retry and sets no timeout: retries belong to the SDK, and each of them is
// charged, since failed requests count. The wait happens inside RoundTrip, so an
// http.Client.Timeout and openai-go's WithRequestTimeout include it; bound the wait with
// [WithMaxWait] or a context, and the server with the base's ResponseHeaderTimeout.
//
// A request may continue an earlier response (previous_response_id, conversation), whose
// context is then input that the body does not show. It is charged as that response reported
// it, if this process has seen that response. The last few thousand of an account are
// remembered, in memory: a store would cost a trip for a guess that the call's own response
// corrects.
//
// A rejection is returned as an [*Error], or with [WithRejectionResponses] as a response. Batch
// jobs and the frames of Realtime connections are not limited.
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
	x := new(exchange)
	if err := x.body.read(req, bodyCap); err != nil {
		return nil, causeOf(req.Context(), err)
	}
	defer x.abandon()
	err := t.send(req, endpoint, deployment, x)
	x.done = true
	if err != nil && x.r == nil {
		if resp := t.limiter.response(req, err); resp != nil {
			return resp, nil
		}
	}
	if !x.sent {
		err = causeOf(req.Context(), err)
	}
	resp := x.resp
	x.resp = nil // the base holds x, as a context, until the body is closed
	return resp, err
}

// causeOf is the cause of the context where err is the context's. So net/http has it of a
// request that has not been sent.
func causeOf(ctx context.Context, err error) error {
	if err != nil && err == ctx.Err() {
		return context.Cause(ctx)
	}
	return err
}

// send lets the request wait, sends it and takes in the head of its response.
func (t *Transport) send(req *http.Request, e wire.Endpoint, deployment string, x *exchange) (err error) {
	ctx := req.Context()
	if err = t.reserve(req, e, deployment, x); err != nil {
		x.body.Close()
		return err
	}
	if err = ctx.Err(); err != nil { // since it was admitted
		x.body.Close()
		x.r.unanswered(true)
		return err
	}
	x.watch.Context, x.watch.begun = ctx, time.Now()
	sent := req.WithContext(&x.watch)
	x.body.attach(sent)
	x.sent = true
	x.resp, err = t.base.RoundTrip(sent)
	if err != nil || x.resp == nil {
		x.r.unanswered(x.watch.never(err) || t.runsHooks() && !x.watch.connected.Load())
		return err
	}
	resp := newCallersResponse(x.resp, req)
	x.resp = &resp.Response
	x.r.observe(ctx, x.resp, x.watch.time())
	x.r.meter(ctx, x.resp, &x.metered)
	x.r.hand(resp)
	return nil
}

// runsHooks reports whether the base is known to run those of httptrace: if it has not even
// looked for a connection, it has sent nothing.
func (t *Transport) runsHooks() bool {
	_, ok := t.base.(*http.Transport)
	return ok
}

// An exchange is a request on its way, and what must not be left behind if a hook, a counter
// or the base panics.
type exchange struct {
	body    requestBody
	watch   writeWatch
	r       *Reservation // once it has been admitted
	metered meteredBody  // the response's body
	own     Reservation  // unless the context brings one, or in shadow
	sent    bool
	resp    *http.Response
	done    bool
}

// abandon ends the exchange of a RoundTrip that has panicked.
func (x *exchange) abandon() {
	if x.done {
		return
	}
	if x.r != nil {
		defer x.r.unanswered(!x.sent)
	}
	x.body.Close()
	closeBody(x.resp)
}

func closeBody(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
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
		returns := false
		defer func() {
			if !returns { // a hook has panicked
				closeBody(resp)
			}
		}()
		h := wire.ParseHeaders(resp.Header)
		t.limiter.traceObserved(req.Context(), ObservedInfo{
			Status: resp.StatusCode, Latency: time.Since(started),
			Requests: observation(h.Requests, h.DailyRequests), Tokens: observation(h.Tokens, h.DailyTokens),
		})
		returns = true
	}
	return resp, err
}

// reserve takes the reservation that the context brings, or makes one and waits until the
// request may start.
func (t *Transport) reserve(req *http.Request, e wire.Endpoint, deployment string, x *exchange) error {
	ctx := req.Context()
	r := &x.own
	if t.limiter.config.shadow {
		r = new(Reservation) // what waits in the background must not keep the request's body
	}
	r.limiter = t.limiter
	call := &r.engine.Call
	call.Account = t.limiter.accountOf(req)
	call.Subwindows = identity.IsAzure(req)
	r.estimateRequest(req, e, deployment, &x.body)
	if brought, ok := value[*Reservation](ctx, reservationKey); ok && brought.claim(r) {
		x.r = brought
		return nil
	}
	retry := first(req.Header, "X-Stainless-Retry-Count")
	call.Retry = retry != "" && retry != "0"
	if err := r.admit(ctx); err != nil {
		return err
	}
	r.taken.Store(true)
	x.r = r
	return nil
}

// unanswered ends the reservation of a request that got no response.
func (r *Reservation) unanswered(neverSent bool) {
	if r.shadow != nil && r.ctx.Err() != nil {
		r.shadow.leave()
	}
	// What was sent the server may have counted.
	r.over(&engine.Outcome{Cancelled: neverSent})
}

// observe takes in the headers of a response.
func (r *Reservation) observe(ctx context.Context, resp *http.Response, written time.Time) {
	head := engine.Response{Status: resp.StatusCode, Headers: wire.ParseHeaders(resp.Header), Written: written}
	if r.shadow != nil {
		r.shadow.observe(ctx, head)
		return
	}
	latency, corrected := r.engine.Observe(&head)
	r.observed(ctx, &head, latency, corrected)
}

// observed reports the headers of a response.
func (r *Reservation) observed(ctx context.Context, head *engine.Response, latency time.Duration, corrected backend.Amounts) {
	h := &head.Headers
	requests, tokens := observation(h.Requests, h.DailyRequests), observation(h.Tokens, h.DailyTokens)
	requests.Corrected, tokens.Corrected = corrected[backend.Requests], corrected[backend.Tokens]
	r.limiter.traceObserved(ctx, ObservedInfo{
		Account: r.engine.Call.Account, Model: r.engine.Call.Model, Class: r.engine.Call.Flow.Class, Tenant: r.engine.Call.Flow.Tenant,
		Status: head.Status, Latency: latency,
		Requests: requests, Tokens: tokens, Charged: h.QueryCost, Shadow: r.shadow != nil,
	})
}

// observation is the first of these that a response reports.
func observation(windows ...wire.Window) Observation {
	w := cmp.Or(windows...)
	return Observation{Limit: w.Limit, Remaining: w.Remaining, Reset: w.Reset}
}

// meter lets the response's body settle the reservation, or settles it at once where the
// body has no usage.
func (r *Reservation) meter(ctx context.Context, resp *http.Response, metered *meteredBody) {
	status := resp.StatusCode
	header, secrets := resp.Header, identity.SecretsOf(resp.Request) // the body must not refer to resp: see callersBody
	bodiless := resp.Body == nil || resp.Body == http.NoBody
	switch {
	case status >= 400: // any of them may be about limits or money: hosts have sent 400, 402, 403, 412, 413, 422, 498, 500, …
		defer r.failed(status) // also if a hook panics
		decide := func(said []byte) {
			throttle := wire.ParseThrottle(status, header, said, time.Now())
			if throttle.Kind != wire.Other || status == http.StatusTooManyRequests {
				r.throttled(ctx, &throttle, status, secrets)
			}
		}
		if bodiless {
			decide(nil) // the headers may say it all
			return
		}
		body := newPeekedBody(ctx, resp.Body)
		resp.Body = body
		enough := wire.ParseThrottle(status, header, nil, time.Now()).RetryAfter > 0
		said := func(prefix []byte) { decide(r.decoded(header, prefix)) }
		if r.shadow != nil { // nobody waits for it
			body.decide, body.enough = said, enough
			return
		}
		body.whenCome(said, enough)
	case status >= 300, bodiless, status == http.StatusSwitchingProtocols:
		r.failed(status)
	default:
		metered.begin(r, resp)
		resp.Body = metered
	}
}

// decoded is the beginning of a response's body.
func (r *Reservation) decoded(h http.Header, prefix []byte) []byte {
	encoded, _ := r.limiter.config.decoders.Chain(h)
	return encoded.Prefix(prefix, 4*peekSize)
}

// failed settles a call whose response has no usage, by its status.
func (r *Reservation) failed(status int) {
	var o engine.Outcome
	if status >= 300 {
		o.Failed = status
	}
	r.end(&o)
}

var kinds = map[wire.Kind]string{
	wire.Other: "other", wire.RateLimit: "rate_limit", wire.TooLarge: "too_large",
	wire.Quota: "quota", wire.SlowDown: "slow_down", wire.Unavailable: "unavailable",
	wire.Overloaded: "overloaded",
}

// throttled takes in an error response, or an error inside one, that is about limits or
// money, to a request with these secrets. An overload pauses the model for as long as it
// says; one that does not say, and is no 429, is like any failure of the server.
func (r *Reservation) throttled(ctx context.Context, t *wire.Throttle, status int, secrets identity.Secrets) {
	t.Message = secrets.Redact(t.Message)
	if r.shadow != nil {
		r.shadow.throttled(ctx, t, status)
		return
	}
	r.pause(ctx, t, status, false)
}

// pause takes in a throttle and reports it. avoided says that the limiter would have
// prevented it, so that it teaches nothing.
func (r *Reservation) pause(ctx context.Context, t *wire.Throttle, status int, avoided bool) {
	c := &r.engine.Call
	info := PausedInfo{Account: c.Account, Model: c.Model, Class: c.Flow.Class, Tenant: c.Flow.Tenant, Endpoint: r.endpointName(), Kind: kinds[t.Kind], Message: t.Message, Shadow: r.shadow != nil, Avoided: avoided}
	kind := t.Kind
	if avoided {
		kind = wire.Other
	}
	switch kind {
	case wire.RateLimit, wire.SlowDown:
		info.For = r.engine.Throttled(t)
	case wire.Overloaded:
		if t.RetryAfter > 0 || status == http.StatusTooManyRequests {
			info.For = r.engine.Throttled(t)
		}
	case wire.TooLarge:
		r.engine.TooLarge(t)
	}
	r.limiter.tracePaused(ctx, info)
}
