package ratelimiter

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// estimateRequest works out what a request will cost, and asks a stream for
// its usage where the user wants that.
func (r *Reservation) estimateRequest(req *http.Request, e wire.Endpoint, deployment string, b *requestBody) {
	l := r.limiter
	typ := first(req.Header, "Content-Type")
	encoded, known := l.config.decoders.Chain(req.Header)
	var c costing.Estimate
	switch {
	case !known && encoded.Prefix(b.prefix, 1) == nil:
		c.Declared = true // one request: nobody knows of what
	case isMultipart(typ):
		c = costing.Multipart(e, deployment, typ, encoded.Prefix(b.prefix, bodyCap), l.counter)
	default:
		c = r.countBody(e, deployment, encoded.Prefix(b.prefix, bodyCap))
		if l.config.usage && !l.config.shadow && c.Stream && !c.IncludeUsage && b.whole && len(encoded) == 0 {
			b.askForUsage(e)
		}
	}
	r.estimate(e, deployment, &c)
}

// isMultipart reports whether a body is a form. A type's case does not matter.
func isMultipart(contentType string) bool {
	const prefix = "multipart/"
	return len(contentType) > len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}

// estimateCall works out what a call without HTTP will cost.
func (r *Reservation) estimateCall(call Call) error {
	switch c := call.(type) {
	case nil:
		return errNoCall
	case Cost:
		r.state(&c)
		return nil
	case *Cost:
		if c != nil {
			r.state(c)
			return nil
		}
	}
	if v := reflect.ValueOf(call); v.Kind() == reflect.Pointer && v.IsNil() {
		return errNoCall
	}
	path, body, err := call.Request()
	if err != nil {
		return fmt.Errorf("ratelimiter: %w", err)
	}
	e, deployment := r.limiter.config.classifyPath(path)
	if e == wire.None {
		return fmt.Errorf("ratelimiter: calls to %q are not limited: WithEndpoint names other paths", path)
	}
	c := r.countBody(e, deployment, body)
	r.estimate(e, deployment, &c)
	return nil
}

// countBody works out what a JSON body says of its cost. The text of a large one is
// estimated, unless it may be more than a limit allows: a call is too large by its count or
// not at all.
func (r *Reservation) countBody(e wire.Endpoint, deployment string, body []byte) costing.Estimate {
	l := r.limiter
	if !l.config.exact {
		c := costing.Sampled(e, deployment, body, l.counter)
		if c.Estimated == 0 || c.Most+c.Output <= l.engine.LeastTokens(r.engine.Call.Account, scopeOf(deployment, &c)) {
			return c
		}
	}
	return costing.JSON(e, deployment, body, l.counter)
}

// scopeOf is the model whose budget pays. deployment is Azure's, and names it before the
// body does.
func scopeOf(deployment string, c *costing.Estimate) string {
	return normalizeModel(cmp.Or(deployment, c.Model))
}

var errNoCall = errors.New("ratelimiter: the Call is nil")

// estimate takes in what the body says.
func (r *Reservation) estimate(e wire.Endpoint, deployment string, c *costing.Estimate) {
	r.endpoint = e
	r.counted = cmp.Or(c.Model, deployment)
	r.encoding = tokens.ForModel(r.counted)
	call := &r.engine.Call
	call.Model = scopeOf(deployment, c)
	call.Requests, call.Images = 1, c.Images
	context, output, _ := costing.Bounds(r.counted)
	call.Body = predict.Body{
		Tokens:       min(quota.Largest, c.Input+c.Output),
		Input:        c.Input,
		Guessed:      c.Guessed,
		Estimated:    c.Estimated,
		Choices:      max(1, c.Choices),
		Undeclared:   !c.Declared && generates(e),
		Continuable:  e == wire.Responses,
		Previous:     c.Previous,
		Conversation: c.Conversation,
		Passing:      c.Passing,
		Functions:    c.Functions,
		MostContext:  context,
		MostOutput:   output,
	}
}

// generates reports whether an endpoint's response costs output tokens that the
// request may leave open.
func generates(e wire.Endpoint) bool {
	switch e {
	case wire.Chat, wire.Completions, wire.Responses:
		return true
	}
	return false
}

// state takes in a cost that its caller states.
func (r *Reservation) state(c *Cost) {
	a := c.amounts()
	call := &r.engine.Call
	call.Model = normalizeModel(c.Model)
	call.Requests, call.Images = max(1, a[backend.Requests]), a[backend.Images]
	call.Body = predict.Body{Tokens: a[backend.Tokens], Input: a[backend.Tokens], Choices: 1, Whole: true}
}
