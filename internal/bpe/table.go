package bpe

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	_ "embed" // the tables

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

//go:generate go run ./gen -o data

// The tables are read where the program's image has them: nothing is built or
// copied at start, and the pages of an encoding that is not used are never read.
// What is derived from them comes later, if at all.
var (
	//go:embed data/o200k.trie
	o200kTrie string
	//go:embed data/o200k.tokens
	o200kTokens string
	//go:embed data/o200k.joints
	o200kJoints string
	//go:embed data/o200k.wide
	o200kWide string

	//go:embed data/cl100k.trie
	cl100kTrie string
	//go:embed data/cl100k.tokens
	cl100kTokens string
	//go:embed data/cl100k.joints
	cl100kJoints string
	//go:embed data/cl100k.wide
	cl100kWide string

	//go:embed data/p50k.trie
	p50kTrie string
	//go:embed data/p50k.tokens
	p50kTokens string
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
	trie   []byte // of layout.Node
	tokens []byte // of layout.Token
	joints []byte // a set of layout.Seam between wide runes, every byte spelled out
	wide   []byte // the tokens of each wide rune

	jointShift uint // from a joint's hash to its word

	known known

	derive sync.Once // what follows
	derived
}

func newVocabulary(trie, tokens, joints, wide string) *vocabulary {
	return &vocabulary{
		trie:       table(trie),
		tokens:     table(tokens),
		joints:     table(joints),
		wide:       table(wide),
		jointShift: uint(bits.LeadingZeros64(uint64(len(joints)/layout.SeamWord)) + 1),
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

// longest returns the longest token that text begins with, and its length, which is 0
// only if text is empty.
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
