package ratelimiter

import (
	"cmp"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An estimate is what a call is charged when it starts, and what is needed to
// settle it.
type estimate struct {
	model      string // that names the scope
	counted    string // the model by whose rules tokens are counted
	encoding   tokens.Encoding
	cost       backend.Amounts
	input      int64 // the part of its tokens that is not output
	guessed    int64 // the part of them that may turn out to be much less
	certain    int64 // the part of its tokens that may not
	choices    int64
	undeclared bool // the output has no maximum

	continuable            bool   // a later call may refer to the answer by its id
	previous, conversation string // what the call itself refers to so
	passing                int64  // the part of input that does not carry over
}

// newEstimate turns what the body says into a cost. deployment is Azure's, and
// names the scope before the body does.
func newEstimate(e wire.Endpoint, deployment string, c costing.Estimate) estimate {
	counted := cmp.Or(c.Model, deployment)
	return estimate{
		model:    NormalizeModel(cmp.Or(deployment, c.Model)),
		counted:  counted,
		encoding: tokens.ForModel(counted),
		cost: Cost{
			Requests: 1,
			Tokens:   min(largest, c.Input+c.Output),
			Images:   c.Images,
		}.amounts(),
		input:        c.Input,
		guessed:      c.Guessed,
		choices:      max(1, c.Choices),
		undeclared:   !c.Declared && generates(e),
		continuable:  e == wire.Responses,
		previous:     c.Previous,
		conversation: c.Conversation,
		passing:      c.Passing,
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

// expect adds what the body does not say: the input that stands on the server, and
// output that nobody declared, as the scope's answers have needed it.
// s.account.mu must be held.
func (e *estimate) expect(s *scope) {
	e.certain = max(0, e.cost[backend.Tokens]-e.guessed)
	context, most, bounded := costing.Bounds(e.counted)
	if e.continues() {
		hidden := max(s.account.history.get(e.previous), s.account.history.get(e.conversation))
		if bounded {
			hidden = min(hidden, context)
		}
		e.input = min(largest, e.input+hidden)
		e.cost[backend.Tokens] = min(largest, e.cost[backend.Tokens]+hidden)
	}
	if e.undeclared {
		output := s.output.expect()
		if bounded {
			output = min(output, most)
		}
		e.cost[backend.Tokens] = min(largest, e.input+output*e.choices)
	}
	e.fit(s.limits)
}

// fit cuts what is guessed to what the limits allow: a call is too large for them only
// by what is certain. By a guess that was too high it would be refused for ever, and
// the guess never corrected.
func (e *estimate) fit(limits []*limit) {
	for _, l := range limits {
		if l.dimension == backend.Tokens {
			e.cost[backend.Tokens] = min(e.cost[backend.Tokens], max(e.certain, l.amount()))
		}
	}
	e.input = min(e.input, e.cost[backend.Tokens])
}

// least is what the call draws from a dimension for certain.
func (e *estimate) least(d backend.Dimension) int64 {
	if d == backend.Tokens {
		return e.certain
	}
	return e.cost[d]
}

// exact reports whether the tokens of the input can be told from the body.
func (e *estimate) exact() bool { return !e.continues() && e.guessed == 0 }

// continues reports whether part of the input stands on the server.
func (e *estimate) continues() bool { return e.previous != "" || e.conversation != "" }

// usage is what is expected of the answer's usage.
func (e *estimate) usage() Usage {
	return Usage{InputTokens: e.input, OutputTokens: max(0, e.cost[backend.Tokens]-e.input)}
}

func (e *estimate) amounts() Cost { return costOf(e.model, e.cost) }
