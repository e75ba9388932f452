package predict

// largest bounds every figure, so that no sum of them overflows.
const largest = 1 << 40

// A Body is what a call's body states of its tokens.
type Body struct {
	// Tokens is what the call may use in all, as far as that is stated: its Input and
	// the output that it declares. Guessed is the part of it that may turn out to be
	// much less.
	Tokens, Input, Guessed int64
	// Estimated is the part of Input that has not been counted. It is about right, but
	// proves nothing.
	Estimated int64
	// Choices is how many answers are generated, at least 1.
	Choices int64
	// Undeclared says that the output has no maximum.
	Undeclared bool
	// Whole says that Tokens is what the call will use, and that nobody knows which part
	// of it is input.
	Whole bool

	// Continuable says that a later call may refer to the response by its id.
	// Previous and Conversation are what this call itself refers to so.
	Continuable            bool
	Previous, Conversation string
	// Passing is the part of Input that does not carry over to such a later call.
	Passing int64

	// Functions says that Input has functions, which we can only count approximately.
	Functions bool

	// MostContext and MostOutput bound what the model takes and puts out; 0 where
	// that is not known.
	MostContext, MostOutput int64
}

// Continues reports whether part of the input stands on the server.
func (b *Body) Continues() bool { return b.Previous != "" || b.Conversation != "" }

// Exact reports whether the body alone determines the tokens of the input.
func (b *Body) Exact() bool { return !b.Continues() && b.Guessed == 0 && !b.Whole }

// A Prediction is what a call will use.
type Prediction struct {
	Tokens, Input int64
	// Certain is the part of Tokens that is no guess.
	Certain int64
}

// Of predicts what a call will use.
func Of(b *Body, in *Inputs, o *Outputs, c *Contexts) Prediction {
	p := Prediction{Tokens: b.Tokens, Input: b.Input, Certain: max(0, b.Tokens-b.Guessed-b.Estimated)}
	if b.Functions {
		p.Input = in.Count(b.Input)
		p.Tokens = min(largest, p.Tokens+p.Input-b.Input)
	}
	if b.Continues() {
		hidden := max(c.Get(b.Previous), c.Get(b.Conversation))
		if b.MostContext > 0 {
			hidden = min(hidden, b.MostContext)
		}
		p.Input = min(largest, p.Input+hidden)
		p.Tokens = min(largest, p.Tokens+hidden)
	}
	if b.Undeclared {
		output := o.Expect()
		if b.MostOutput > 0 {
			output = min(output, b.MostOutput)
		}
		p.Tokens = min(largest, max(p.Tokens, p.Input+output*max(1, b.Choices)))
	}
	return p
}

// Responded takes in what a call's response has used in all. id is the response's own, or
// empty. What a call that continues it will find is everything that was put in, but for
// what does not carry over, and everything that was put out. Reasoning is dropped between
// turns, though not between the calls of tools, so this is the most that it can be.
func Responded(b *Body, c *Contexts, id string, total int64) {
	if !b.Continuable {
		return
	}
	c.Set(id, total-b.Passing)
	c.Set(b.Conversation, total-b.Passing)
}
