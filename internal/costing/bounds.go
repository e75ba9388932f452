package costing

import "github.com/openai-ratelimiter/ratelimiter/internal/tokens"

// mostContext is the largest context of any model, for models of which it is not known.
const mostContext = 1_050_000

// Bounds returns the most tokens that a model's context holds, and that one of its
// answers may have: what the name says, as for [tokens.Lookup]. ok is false where
// they are not known.
func Bounds(model string) (context, output int64, ok bool) {
	m := tokens.Lookup(model)
	return m.Context, m.Output, m.Context > 0
}

// Reasons reports whether a model puts out reasoning, which its answers count and
// do not show: the o series, gpt-oss, Codex, gpt-5 and what came after it.
func Reasons(model string) bool { return tokens.Lookup(model).Reasons }
