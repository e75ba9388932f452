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
	None = 1<<IDBits - 1
	// IDBits is how many bits an id takes.
	IDBits = 18
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

// A Token is the record of a token: the two tokens it is merged from, and whether it
// is itself the left or the right part of a token.
type Token uint64

const (
	// TokenSize is the size of a Token in bytes. Records are in the order of
	// the ids.
	TokenSize = 5
	// TokenPadding is the number of bytes that follow the last Token, so that
	// each can be read as eight.
	TokenPadding = 8 - TokenSize

	isLeft  = 1 << (2 * IDBits)
	isRight = 1 << (2*IDBits + 1)
)

// MakeToken returns a record. A single byte's left and right are None.
func MakeToken(left, right uint32) Token {
	return Token(left) | Token(right)<<IDBits
}

// AsLeft returns the record of a token that is the left part of a token.
func (t Token) AsLeft() Token { return t | isLeft }

// AsRight returns the record of a token that is the right part of a token.
func (t Token) AsRight() Token { return t | isRight }

// Left returns the first of the two tokens that the token is merged from.
func (t Token) Left() uint32 { return uint32(t) & None }

// Right returns the second of the two tokens that the token is merged from.
func (t Token) Right() uint32 { return uint32(t>>IDBits) & None }

// MergedFrom reports whether left and right are what the token is merged from.
func (t Token) MergedFrom(left, right uint32) bool {
	return t&(1<<(2*IDBits)-1) == MakeToken(left, right)
}

// MayMerge reports whether there are tokens that begin with left and end with
// right, though perhaps no token of the two.
func MayMerge(left, right Token) bool {
	return left&isLeft != 0 && right&isRight != 0
}
