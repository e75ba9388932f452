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
	//go:embed data/o200k.joints
	o200kJoints string
	//go:embed data/o200k.wide
	o200kWide string

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
	//go:embed data/cl100k.joints
	cl100kJoints string
	//go:embed data/cl100k.wide
	cl100kWide string

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
	//go:embed data/p50k.joints
	p50kJoints string
	//go:embed data/p50k.wide
	p50kWide string

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
	seams         []byte // a set of layout.Seam
	joints        []byte // another, of those between wide runes, every byte spelled out
	wide          []byte // the tokens of each wide rune

	elements    uint32 // in merges
	bucketShift uint   // from a hash to its bucket
	seamShift   uint   // and from a seam's to its word
	jointShift  uint   // likewise among joints
}

func newVocabulary(trie, tokens, merges, displacements, seams, joints, wide string) vocabulary {
	return vocabulary{
		trie:          table(trie),
		tokens:        table(tokens),
		merges:        table(merges),
		displacements: table(displacements),
		seams:         table(seams),
		joints:        table(joints),
		wide:          table(wide),
		elements:      uint32(len(merges) / layout.MergeSize),
		bucketShift:   uint(bits.LeadingZeros64(uint64(len(displacements)/layout.DisplacementSize)) + 1),
		seamShift:     uint(bits.LeadingZeros64(uint64(len(seams)/layout.SeamWord)) + 1),
		jointShift:    uint(bits.LeadingZeros64(uint64(len(joints)/layout.SeamWord)) + 1),
	}
}

// These are binary.LittleEndian's, given no more than they read: what is left of a
// table might be nothing, and the compiler computes that away at every load.

func uint32At(b []byte, i uint) uint32 { return binary.LittleEndian.Uint32(b[i : i+4 : i+4]) }
func uint64At(b []byte, i uint) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

func (v *vocabulary) node(i uint32) layout.Node {
	return layout.Node(uint32At(v.trie, uint(i)*layout.NodeSize))
}

func (v *vocabulary) token(id uint32) layout.Token {
	return layout.Token(uint64At(v.tokens, uint(id)*layout.TokenSize))
}

// A found token is its id, or where in the trie its id is. Mostly only its length
// matters, and not reading the id saves a trip to memory.
type found uint32

const inTrie found = 1 << 31

// longest returns the longest token that text, which is not empty, begins with,
// and its length.
func (v *vocabulary) longest(text []byte) (f found, n int) {
	at := layout.Root
	for i, c := range text {
		next := v.node(at.Value() ^ uint32(c))
		if next.Label() != c {
			break
		}
		if next.Leaf() {
			return found(next.Value()), i + 1
		}
		if next.Token() {
			f, n = inTrie|found(next.Value()^layout.End), i+1
		}
		at = next
	}
	return f, n
}

// id returns the id of a found token.
func (v *vocabulary) id(f found) uint32 {
	if f&inTrie != 0 {
		return v.node(uint32(f &^ inTrie)).Value()
	}
	return uint32(f)
}

// mergeBefore reports whether left and right merge into a token with an id below
// limit.
func (v *vocabulary) mergeBefore(limit, left, right uint32) bool {
	h := layout.HashPair(left, right)
	d := binary.LittleEndian.Uint16(v.displacements[h.Bucket(v.bucketShift)*layout.DisplacementSize:])
	m := uint32At(v.merges, h.Element(d, v.elements)*layout.MergeSize)
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
