package bpe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

const (
	// mostKnown is how long the pieces are at most whose counts are remembered.
	mostKnown = 15
	knownBits = 12
	countBits = 4
)

// known are the counts of pieces that were counted before: the most of a text is the same few
// thousand words, and to find one here costs less than to walk down the trie. Each has one place,
// which the latest takes. Of the piece there is only its hash, so that no text is kept; the key is
// another in each process, so that nobody can choose pieces whose hashes are the same.
type known [1 << knownBits]atomic.Uint64

var lowKey, highKey = rand.Uint64(), rand.Uint64()

// hashOf is the hash of a piece of at most mostKnown bytes that text begins with. At least one
// byte must follow that number of bytes in text.
func hashOf(text []byte, size int) uint64 {
	low, high := binary.LittleEndian.Uint64(text[:8]), uint64(0)
	if size <= 8 {
		low &= ^uint64(0) >> (64 - 8*uint(size))
	} else {
		high = binary.LittleEndian.Uint64(text[8:16]) & (1<<(8*uint(size-8)) - 1)
	}
	above, below := bits.Mul64(low^lowKey, (high|uint64(size)<<56)^highKey)
	return above ^ below
}

// countKnown is count for such a piece. What is remembered is the piece's hash without its first
// bits, which its place tells, and its count.
func (v *vocabulary) countKnown(text []byte, size int) int {
	hash := hashOf(text, size)
	place := &v.known[hash>>(64-knownBits)]
	if e := place.Load(); e>>countBits == hash<<countBits>>countBits && e != 0 {
		return int(e & (1<<countBits - 1))
	}
	n := v.count(text[:size])
	place.Store(hash<<countBits | uint64(n))
	return n
}
