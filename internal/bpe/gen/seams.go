package main

import (
	"math/bits"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// buildSeams makes the set of the seams at which tokens merge: four bits for each
// token, of which about one in fifteen is set.
func buildSeams(tokens []string, records []layout.Token) []byte {
	shift := uint(bits.LeadingZeros64(uint64(len(tokens))) - 2)
	set := make([]byte, 1<<(64-shift)/8)
	for _, r := range records {
		if r.Left() != layout.None {
			layout.SeamBetween(tokens[r.Left()], tokens[r.Right()]).AddTo(set, shift)
		}
	}
	return set
}
