package bpe

import (
	"bytes"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

var vocabularies = map[string]*vocabulary{"o200k": o200k, "cl100k": cl100k, "p50k": p50k}

// Each pair that merges is found, from the rank of its token on, and no other, though
// some have the same bits of the hash.
func TestMerges(t *testing.T) {
	for name, v := range vocabularies {
		v.derive.Do(v.deriveAll)
		type pair struct{ left, right uint32 }
		pairs := map[pair]bool{}
		for id, r := range v.records() {
			pairs[pair{r.Left(), r.Right()}] = true
			if !v.mergeBefore(id+1, r.Left(), r.Right()) {
				t.Fatalf("%s: token %d is not found", name, id)
			}
			if v.mergeBefore(id, r.Left(), r.Right()) {
				t.Fatalf("%s: token %d merges before %d", name, id, id)
			}
		}
		for id, r := range v.records() {
			for _, p := range []pair{{r.Right(), r.Left()}, {r.Left(), id}, {id, r.Right()}} {
				if got := v.mergeBefore(layout.None, p.left, p.right); got != pairs[p] {
					t.Fatalf("%s: %d and %d merge: %t", name, p.left, p.right, got)
				}
			}
		}
	}
}

// The seams are those that the tokens' bytes make.
func TestSeams(t *testing.T) {
	for name, v := range vocabularies {
		v.derive.Do(v.deriveAll)
		want := make([]byte, len(v.seams))
		tokens := map[uint32]string{}
		for b := range 0x100 {
			f, _ := v.longest([]byte{byte(b)})
			tokens[v.id(f)] = string([]byte{byte(b)})
		}
		for id, r := range v.records() {
			left, right := tokens[r.Left()], tokens[r.Right()]
			tokens[id] = left + right
			layout.SeamBetween(left, right).AddTo(want, v.seamShift)
		}
		if !bytes.Equal(v.seams, want) {
			t.Errorf("%s: other seams", name)
		}
	}
}
