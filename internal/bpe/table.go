package bpe

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	_ "embed" // the tables

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

//go:generate go run ./gen -o data

// The tables are read where the program's image has them: nothing is built or
// copied at start, and the pages of an encoding that is not used are never read.
var (
	//go:embed data/o200k.trie
	o200kTrie string
	//go:embed data/o200k.tokens
	o200kTokens string
	//go:embed data/o200k.merges
	o200kMerges string
	//go:embed data/o200k.displacements
	o200kDisplacements string
	//go:embed data/o200k.seams
	o200kSeams string

	//go:embed data/cl100k.trie
	cl100kTrie string
	//go:embed data/cl100k.tokens
	cl100kTokens string
	//go:embed data/cl100k.merges
	cl100kMerges string
	//go:embed data/cl100k.displacements
	cl100kDisplacements string
	//go:embed data/cl100k.seams
	cl100kSeams string

	//go:embed data/p50k.trie
	p50kTrie string
	//go:embed data/p50k.tokens
	p50kTokens string
	//go:embed data/p50k.merges
	p50kMerges string
	//go:embed data/p50k.displacements
	p50kDisplacements string
	//go:embed data/p50k.seams
	p50kSeams string

	//go:embed data/classes.index
	classIndex string
	//go:embed data/classes.blocks
	classBlocks string
)

// A table is embedded as a string, so that the linker puts it where nothing can
// write, and read as bytes, which encoding/binary wants.
func table(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// A vocabulary is the tokens of an encoding and how they merge.
type vocabulary struct {
	trie          []byte // of layout.Node
	tokens        []byte // of layout.Token
	merges        []byte // of layout.Merge
	displacements []byte // of uint16
	seams         []byte // bits

	elements    uint32 // in merges
	bucketShift uint   // from a hash to its bucket
	seamShift   uint   // and to its bit
}

func newVocabulary(trie, tokens, merges, displacements, seams string) vocabulary {
	return vocabulary{
		trie:          table(trie),
		tokens:        table(tokens),
		merges:        table(merges),
		displacements: table(displacements),
		seams:         table(seams),
		elements:      uint32(len(merges) / layout.MergeSize),
		bucketShift:   uint(bits.LeadingZeros64(uint64(len(displacements)/layout.DisplacementSize)) + 1),
		seamShift:     uint(bits.LeadingZeros64(uint64(len(seams)*8)) + 1),
	}
}

func (v *vocabulary) node(i uint32) layout.Node {
	return layout.Node(binary.LittleEndian.Uint32(v.trie[uint(i)*layout.NodeSize:]))
}

func (v *vocabulary) token(id uint32) layout.Token {
	return layout.Token(binary.LittleEndian.Uint64(v.tokens[uint(id)*layout.TokenSize:]))
}

// longest returns the longest token that text, which is not empty, begins with,
// and its length.
func (v *vocabulary) longest(text []byte) (id uint32, n int) {
	at := v.node(0)
	var end uint32 // where the id of the longest token so far is
	for i, c := range text {
		next := v.node(at.Value() ^ uint32(c))
		if next.Label() != c {
			break
		}
		if next.Leaf() {
			return next.Value(), i + 1
		}
		if next.Token() {
			end, n = next.Value()^layout.End, i+1
		}
		at = next
	}
	return v.node(end).Value(), n
}

// mergeBefore reports whether left and right merge into a token with an id below
// limit.
func (v *vocabulary) mergeBefore(limit, left, right uint32) bool {
	h := layout.HashPair(left, right)
	d := binary.LittleEndian.Uint16(v.displacements[h.Bucket(v.bucketShift)*layout.DisplacementSize:])
	m := binary.LittleEndian.Uint32(v.merges[h.Element(d, v.elements)*layout.MergeSize:])
	id := layout.Merge(m).Token(h)
	return id < limit && v.token(id).MergedFrom(left, right)
}

// mayMergeAt reports whether there are any two tokens that merge across piece[at].
func (v *vocabulary) mayMergeAt(piece []byte, at int) bool {
	if at < 2 || at+2 > len(piece) {
		return true
	}
	return layout.Seam(binary.LittleEndian.Uint32(piece[at-2:])).In(v.seams, v.seamShift)
}
