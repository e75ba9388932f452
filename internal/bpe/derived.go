package bpe

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// Derived is what follows from the records of the tokens. In the program's image it would
// be a fifth of all tables. It is made in a few milliseconds when an encoding first needs
// it: for the first piece that is more than three bytes and no token.
type derived struct {
	// merges maps two tokens to the one they merge into: a hash table with open
	// addressing, at most half full. An element is 0, or the id of a token and above it
	// some bits of its parts' hash; the token's record decides. Tokens are put in by
	// their ids, so that a pair's search passes none that has a higher id than its own.
	merges     []uint32
	mergeShift uint // from a hash to where its search begins

	seams     []byte // a set of layout.Seam
	seamShift uint   // from a seam's hash to its word
}

const checkBits = 32 - layout.IDBits

func hash(left, right uint32) uint64 {
	return uint64(left)*0x9e3779b97f4a7c15 + uint64(right)*0xd6e8feb86659fd93
}

// check returns the bits of a hash that an element has, none of which chooses its place.
func check(hash uint64) uint32 { return uint32(hash>>31) & (1<<checkBits - 1) }

func (v *vocabulary) deriveAll() {
	ids := v.ids()
	v.merges = make([]uint32, 1<<bits.Len32(2*ids))
	v.mergeShift = uint(bits.LeadingZeros32(2*ids)) + 32
	// Four to eight bits for each token.
	v.seamShift = uint(bits.LeadingZeros64(uint64(ids) * 4 / (8 * layout.SeamWord)))
	v.seams = make([]byte, layout.SeamWord<<(64-v.seamShift))

	edges := make([]layout.Edges, ids)
	for b := range 0x100 {
		f, _ := v.longest([]byte{byte(b)})
		edges[v.id(f)] = layout.EdgesOfByte(byte(b))
	}
	for id, t := range v.records() {
		left, right := t.Left(), t.Right()
		h := hash(left, right)
		at := uint(h >> v.mergeShift)
		for v.merges[at] != 0 {
			at = (at + 1) & uint(len(v.merges)-1)
		}
		v.merges[at] = check(h)<<layout.IDBits | id
		edges[id] = layout.Merged(edges[left], edges[right], left < layout.Bytes, right < layout.Bytes)
		edges[left].Seam(edges[right]).AddTo(v.seams, v.seamShift)
	}
}

// records yields the tokens that are merged from others, by their ids. The ids of special
// tokens are not among them.
func (v *vocabulary) records() iter.Seq2[uint32, layout.Token] {
	return func(yield func(uint32, layout.Token) bool) {
		for id := uint32(layout.Bytes); id < v.ids(); id++ {
			if t := v.token(id); t.Left() != layout.None && !yield(id, t) {
				return
			}
		}
	}
}

// ids is the number of ids.
func (v *vocabulary) ids() uint32 { return uint32(len(v.tokens) / layout.TokenSize) }

// mergeBefore reports whether left and right merge into a token with an id below
// limit.
func (v *vocabulary) mergeBefore(limit, left, right uint32) bool {
	h := hash(left, right)
	check, merges := check(h), v.merges
	for at := uint(h >> (v.mergeShift & 63)); ; at++ {
		m := merges[at&uint(len(merges)-1)]
		id := m & layout.None
		if id-1 >= limit-1 { // or there is none: 0 wraps around
			return false
		}
		if m>>layout.IDBits == check && v.token(id).MergedFrom(left, right) {
			return true
		}
	}
}

// mayMergeAt reports whether there are any two tokens that merge across piece[at].
func (v *vocabulary) mayMergeAt(piece []byte, at int) bool {
	if at < 2 || at+2 > len(piece) {
		return true
	}
	return layout.Seam(binary.LittleEndian.Uint32(piece[at-2:])).In(v.seams, v.seamShift)
}
