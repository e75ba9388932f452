package main

import (
	"math/bits"
	"slices"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// buildJoints makes the set of the seams between two wide runes at which tokens
// merge, of eight to sixteen bits for each. They are few enough to be spelled out:
// where one of the tokens is a single byte, the byte beyond it can be any that
// stands there, which is one that continues a rune.
func buildJoints(tokens []string, records []layout.Token) []byte {
	const first, last = 0x80, 0xbf // of the bytes that continue a rune
	continues := make([]byte, 0, last-first+1)
	for b := first; b <= last; b++ {
		continues = append(continues, byte(b))
	}
	var joints []layout.Seam
	for _, r := range records {
		if r.Left() == layout.None {
			continue
		}
		left, right := tokens[r.Left()], tokens[r.Right()]
		if end := left[len(left)-1]; end < first || end > last || !layout.IsWide(right[0]) {
			continue
		}
		before, after := continues, continues
		if len(left) > 1 {
			before = []byte{left[len(left)-2]}
		}
		if len(right) > 1 {
			after = []byte{right[1]}
		}
		for _, b := range before {
			for _, a := range after {
				seam := layout.SeamBetween(string([]byte{b, left[len(left)-1]}), string([]byte{right[0], a}))
				joints = append(joints, seam)
			}
		}
	}
	slices.Sort(joints)
	joints = slices.Compact(joints)
	shift := uint(bits.LeadingZeros64(uint64(len(joints)) * 8 / (8 * layout.SeamWord)))
	set := make([]byte, layout.SeamWord<<(64-shift))
	for _, j := range joints {
		j.AddTo(set, shift)
	}
	return set
}
