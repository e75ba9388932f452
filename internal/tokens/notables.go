//go:build ratelimiter_notables

package tokens

// Exact takes four bytes for a token, in a program without the vocabularies.
type Exact struct{}

var _ Counter = Exact{}

// Tables reports whether the program has the vocabularies.
const Tables = false

// Count implements [Counter].
func (Exact) Count(_ string, _ Encoding, text []byte) int { return (len(text) + 3) / 4 }
