package ratelimiter

import (
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An estimate is what a call is charged when it starts, and what is needed to
// settle it.
type estimate struct {
	model      string // that names the scope
	encoding   tokens.Encoding
	cost       backend.Amounts
	input      int64 // the part of its tokens that is not output
	choices    int64
	undeclared bool // the output has no maximum
}

// newEstimate turns what the body says into a cost. deployment is Azure's, and
// names the scope before the body does.
func newEstimate(e wire.Endpoint, deployment string, c costing.Estimate) estimate {
	model := deployment
	if model == "" {
		model = c.Model
	}
	return estimate{
		model:    NormalizeModel(model),
		encoding: tokens.ForModel(c.Model),
		cost: Cost{
			Requests: 1,
			Tokens:   min(largest, c.Input+c.Output),
			Images:   c.Images,
		}.amounts(),
		input:      c.Input,
		choices:    max(1, c.Choices),
		undeclared: !c.Declared && generates(e),
	}
}

// generates reports whether an endpoint's answer costs output tokens that the
// request may leave open.
func generates(e wire.Endpoint) bool {
	switch e {
	case wire.Chat, wire.Completions, wire.Responses:
		return true
	}
	return false
}

// expect reserves for output that nobody declared what the scope's answers
// have needed.
func (e *estimate) expect(o *output) {
	if e.undeclared {
		e.cost[backend.Tokens] = min(largest, e.input+o.expect()*e.choices)
	}
}

func (e *estimate) amounts() Cost { return costOf(e.model, e.cost) }
