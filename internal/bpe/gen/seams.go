package main

import (
	"math/bits"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// buildSeams makes the set of the seams at which tokens merge, of four to eight
// bits for each token.
func buildSeams(tokens []string, records []layout.Token) []byte {
	shift := uint(bits.LeadingZeros64(uint64(len(tokens)) * 4 / (8 * layout.SeamWord)))
	set := make([]byte, layout.SeamWord<<(64-shift))
	for _, r := range records {
		if r.Left() != layout.None {
			layout.SeamBetween(tokens[r.Left()], tokens[r.Right()]).AddTo(set, shift)
		}
	}
	return set
}
