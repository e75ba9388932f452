package bpe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

const (
	knownBits = 12
	countBits = 5
	// mostKnown is how long the pieces are at most whose counts are remembered: of so many tokens
	// they are at most.
	mostKnown = 1<<countBits - 1
)

// known are the counts of pieces that were counted before: the most of a text is the same few
// thousand words, and to find one here costs less than to walk down the trie. Each has one place,
// which the latest takes. Of the piece there is only its hash, so that no text is kept; the keys
// are others in each process, so that nobody can choose pieces whose hashes are the same.
type known [1 << knownBits]atomic.Uint64

var keys = [4]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}

// hashOf is the hash of the piece text[i:end], of at most mostKnown bytes. Before end there are at
// least eight bytes. What a longer piece has in its middle may be taken in twice.
func hashOf(text []byte, i, end int) uint64 {
	size := end - i
	last := binary.LittleEndian.Uint64(text[end-8:])
	if size <= 8 {
		return mix(last>>(64-8*uint(size)), uint64(size))
	}
	first := binary.LittleEndian.Uint64(text[i:])
	hash := mix(first, last) + uint64(size)
	if size > 16 {
		above, below := bits.Mul64(binary.LittleEndian.Uint64(text[i+8:])^keys[2], binary.LittleEndian.Uint64(text[end-16:])^keys[3])
		hash += above ^ below
	}
	return hash
}

func mix(a, b uint64) uint64 {
	above, below := bits.Mul64(a^keys[0], b^keys[1])
	return above ^ below
}

// countKnown is count for such a piece. What is remembered is the piece's hash without its first
// bits, which its place tells, and its count.
func (v *vocabulary) countKnown(text []byte, i, end int) int {
	hash := hashOf(text, i, end)
	place := &v.known[hash>>(64-knownBits)]
	if e := place.Load(); e>>countBits == hash<<countBits>>countBits && e != 0 {
		return int(e & (1<<countBits - 1))
	}
	n := v.count(text[i:end])
	place.Store(hash<<countBits | uint64(n))
	return n
}
