package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// Of the elements a few stay free, or the last pairs would have one choice.
const elementsPerPair = 1.02

// buildMerges makes the table from two tokens to the one they merge into. Buckets
// are placed by size, the largest first, each with the first displacement that
// takes all of its pairs to free elements (Belazzougui, Botelho, Dietzfelbinger:
// Hash, displace, and compress, 2009).
func buildMerges(records []layout.Token) (elements, displacements []byte, err error) {
	type pair struct {
		hash layout.Hash
		id   uint32
	}
	pairs := 0
	for _, r := range records {
		if r.Left() != layout.None {
			pairs++
		}
	}
	// Three to six pairs a bucket: larger ones take longer to place, as all of
	// a bucket's elements must be free at once, and smaller ones more room.
	shift := uint(bits.LeadingZeros64(uint64(pairs/3)) + 1)
	buckets := make([][]pair, 1<<(64-shift))
	for id, r := range records {
		if r.Left() != layout.None {
			h := layout.HashPair(r.Left(), r.Right())
			b := h.Bucket(shift)
			buckets[b] = append(buckets[b], pair{h, uint32(id)})
		}
	}
	order := make([]int, len(buckets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(buckets[b]), len(buckets[a])) })

	n := uint32(float64(pairs) * elementsPerPair)
	elements = make([]byte, n*layout.MergeSize+1)
	for i := range elements {
		elements[i] = 0xff // None
	}
	displacements = make([]byte, len(buckets)*layout.DisplacementSize)
	taken := make([]bool, n)
	for _, b := range order {
		var at []uint
		place := func(displacement uint16) bool {
			at = at[:0]
			for _, p := range buckets[b] {
				i := p.hash.Element(displacement, n)
				if taken[i] || slices.Contains(at, i) {
					return false
				}
				at = append(at, i)
			}
			return true
		}
		displacement := uint16(0)
		for !place(displacement) {
			if displacement++; displacement == 0 {
				return nil, nil, errors.New("no displacement places a bucket of merges")
			}
		}
		binary.LittleEndian.PutUint16(displacements[b*layout.DisplacementSize:], displacement)
		for i, p := range buckets[b] {
			taken[at[i]] = true
			m := layout.MakeMerge(p.hash, p.id)
			e := elements[at[i]*layout.MergeSize:]
			e[0], e[1], e[2] = byte(m), byte(m>>8), byte(m>>16)
		}
	}
	return elements, displacements, nil
}
