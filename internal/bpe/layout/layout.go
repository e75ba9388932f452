// Package layout is how the tables of package bpe are laid out in bytes: what the
// generator writes and the counter reads. All numbers are little-endian.
//
// A token's id is its rank in the vocabulary, and the single bytes are the ids
// below [Bytes].
package layout

const (
	// Bytes is the number of tokens that are one byte. They are nobody's merge.
	Bytes = 256
	// None stands for a token that does not exist. It is above every id.
	None = 1<<idBits - 1
	// MaxLen is the length of the longest token that a Token can describe.
	MaxLen = 1 << 7

	idBits = 18
)

// A Node is an element of the trie of all tokens, a double array: the children of
// a node lie at Base ^ their byte, and no two nodes have the same Base, so that an
// element belongs to the node that leads to it if its Label is the byte followed.
//
// A leaf stands for the token Value and has no children. An inner node has Value
// as its Base; where it also ends a token, the id of that token is the Value of
// its child by [End].
type Node uint32

const (
	// NodeSize is the size of a Node in bytes.
	NodeSize = 4
	// Root is the node that stands for nothing yet. It is not among the others.
	Root = Node(0 << nodeShift)
	// End is a byte that no UTF-8 text contains. It labels the ends of tokens
	// that are the beginnings of others, and elements that are not in use.
	End = 0xff

	leaf      = 1 << 8
	token     = 1 << 9
	nodeShift = 10
)

// MakeLeaf returns the node for a token that is no other token's beginning.
func MakeLeaf(label byte, id uint32) Node {
	return Node(id<<nodeShift | leaf | uint32(label))
}

// MakeInner returns a node with children.
func MakeInner(label byte, base uint32, isToken bool) Node {
	n := Node(base<<nodeShift | uint32(label))
	if isToken {
		n |= token
	}
	return n
}

// Label returns the byte that leads to the node.
func (n Node) Label() byte { return byte(n) }

// Leaf reports whether the node is a leaf.
func (n Node) Leaf() bool { return n&leaf != 0 }

// Token reports whether the node is an inner node that ends a token.
func (n Node) Token() bool { return n&token != 0 }

// Value returns a leaf's token, or an inner node's Base.
func (n Node) Value() uint32 { return uint32(n) >> nodeShift }

// A Token is the record of a token: the two tokens it is merged from, the longest
// other token that it begins with, its length in bytes, and whether it is itself
// the left or the right part of a token.
type Token uint64

const (
	// TokenSize is the size of a Token in bytes. Records are in the order of
	// the ids.
	TokenSize = 8

	lengthShift = 3 * idBits
	isLeft      = 1 << 62
	isRight     = 1 << 63
)

// MakeToken returns a record. A single byte's left, right and prefix are None.
func MakeToken(left, right, prefix uint32, length int) Token {
	return Token(left) | Token(right)<<idBits | Token(prefix)<<(2*idBits) | Token(length-1)<<lengthShift
}

// AsLeft returns the record of a token that is the left part of a token.
func (t Token) AsLeft() Token { return t | isLeft }

// AsRight returns the record of a token that is the right part of a token.
func (t Token) AsRight() Token { return t | isRight }

// Left returns the first of the two tokens that the token is merged from.
func (t Token) Left() uint32 { return uint32(t) & None }

// Right returns the second of the two tokens that the token is merged from.
func (t Token) Right() uint32 { return uint32(t>>idBits) & None }

// Prefix returns the longest other token that the token begins with.
func (t Token) Prefix() uint32 { return uint32(t>>(2*idBits)) & None }

// Len returns the token's length in bytes.
func (t Token) Len() int { return int(t>>lengthShift)&(MaxLen-1) + 1 }

// MergedFrom reports whether left and right are what the token is merged from.
func (t Token) MergedFrom(left, right uint32) bool {
	return t&(1<<(2*idBits)-1) == Token(left)|Token(right)<<idBits
}

// MayMerge reports whether there are tokens that begin with left and end with
// right, though perhaps no token of the two.
func MayMerge(left, right Token) bool {
	return left&isLeft != 0 && right&isRight != 0
}

// A Merge is an element of the table that maps two tokens to the one they merge
// into, a perfect hash by displacement: a pair's hash chooses a bucket, the
// bucket's displacement and the hash choose the element. What the table says about
// a pair that merges into nothing is wrong; a few bits of the hash exclude most of
// these, and the record of the token that it names decides.
type Merge uint32

const (
	// MergeSize is the size of a Merge in bytes. Another byte follows the last
	// one, so that each can be read as four.
	MergeSize = 3
	// DisplacementSize is the size of a bucket's displacement in bytes. The
	// number of buckets is a power of two.
	DisplacementSize = 2

	checkBits = 8*MergeSize - idBits
)

// MakeMerge returns the element for a pair with this hash that merges into id.
func MakeMerge(h Hash, id uint32) Merge {
	return Merge(id | h.check()<<idBits)
}

// Token returns the token that the pair with this hash merges into, if it merges
// into any, or None if it is certain that it does not. The byte after the Merge
// does not matter.
func (m Merge) Token(h Hash) uint32 {
	if uint32(m)>>idBits&(1<<checkBits-1) != h.check() {
		return None
	}
	return uint32(m) & None
}

// A Hash is a pair's hash.
type Hash uint64

// HashPair returns the hash of two tokens.
func HashPair(left, right uint32) Hash {
	h := uint64(left)*0x9e3779b97f4a7c15 + uint64(right)*0xd6e8feb86659fd93
	return Hash(h ^ h>>32)
}

func (h Hash) check() uint32 { return uint32(h) & (1<<checkBits - 1) }

// Bucket returns the bucket of a pair among 1 << (64 - shift).
func (h Hash) Bucket(shift uint) uint { return uint(h >> (shift & 63)) }

// Element returns where a pair's Merge is in a table of that many.
func (h Hash) Element(displacement uint16, elements uint32) uint {
	x := uint64(uint32(h>>checkBits)^uint32(displacement)*0x9e3779b1) * 0x9e3779b97f4a7c15 >> 32
	return uint(x * uint64(elements) >> 32)
}
