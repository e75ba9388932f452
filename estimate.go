package ratelimiter

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An estimate is what a call's body says that it will cost.
type estimate struct {
	model            string // that names the scope
	counted          string // the model by whose rules tokens are counted
	encoding         tokens.Encoding
	requests, images int64
	body             predict.Body
}

// estimateRequest works out what a request will cost, and asks a stream for
// its usage where the user wants that.
func (l *Limiter) estimateRequest(req *http.Request, e wire.Endpoint, deployment string, b *requestBody) estimate {
	typ := req.Header.Get("Content-Type")
	var c costing.Estimate
	switch {
	case req.Header.Get("Content-Encoding") != "":
		// Compressed: one request.
	case isMultipart(typ):
		c = costing.Multipart(e, deployment, typ, b.prefix, l.counter)
	default:
		c = costing.JSON(e, deployment, b.prefix, l.counter)
		if l.config.usage && c.Stream && !c.IncludeUsage && b.rest == nil {
			b.askForUsage(e)
		}
	}
	return newEstimate(e, deployment, &c)
}

// isMultipart reports whether a body is a form. A type's case does not matter.
func isMultipart(contentType string) bool {
	const prefix = "multipart/"
	return len(contentType) > len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}

// newEstimate turns what the body says into an estimate. deployment is Azure's, and
// names the scope before the body does.
func newEstimate(e wire.Endpoint, deployment string, c *costing.Estimate) estimate {
	counted := cmp.Or(c.Model, deployment)
	context, output, _ := costing.Bounds(counted)
	return estimate{
		model:    normalizeModel(cmp.Or(deployment, c.Model)),
		counted:  counted,
		encoding: tokens.ForModel(counted),
		requests: 1,
		images:   c.Images,
		body: predict.Body{
			Tokens:       min(quota.Largest, c.Input+c.Output),
			Input:        c.Input,
			Guessed:      c.Guessed,
			Choices:      max(1, c.Choices),
			Undeclared:   !c.Declared && generates(e),
			Continuable:  e == wire.Responses,
			Previous:     c.Previous,
			Conversation: c.Conversation,
			Passing:      c.Passing,
			MostContext:  context,
			MostOutput:   output,
		},
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

// estimate is the cost as a call.
func (c Cost) estimate() estimate {
	a := c.amounts()
	return estimate{
		model:    normalizeModel(c.Model),
		requests: max(1, a[0]),
		images:   a[2],
		body:     predict.Body{Tokens: a[1], Input: a[1], Choices: 1},
	}
}
