package layout

import "encoding/binary"

// A Seam is the two bytes before and the two after the place where two tokens
// meet, in little-endian order. A set of seams has those at which any two tokens
// merge into one: where the seam is not in the set, nothing merges across it,
// whatever the tokens are. It is a Bloom filter, so that it also has some others.
//
// Where one of the tokens that merge is a single byte, the byte beyond it does not
// matter. Such a seam is in the set with a zero in its place, and a seam has to be
// looked up in each of the four ways.
type Seam uint32

// SeamWord is the size in bytes of a word of a set. Both bits of a seam are in the
// same word, so that one load finds them.
const SeamWord = 8

// SeamBetween returns what the set has for two tokens that merge.
func SeamBetween(left, right string) Seam {
	s := Seam(left[len(left)-1])<<8 | Seam(right[0])<<16
	if len(left) > 1 {
		s |= Seam(left[len(left)-2])
	}
	if len(right) > 1 {
		s |= Seam(right[1]) << 24
	}
	return s
}

// Edges are the bytes at both ends of a token, in the places where they are in the seams
// before and behind it.
type Edges Seam

const behind, before = 0x0000ffff, 0xffff0000

// EdgesOfByte returns the edges of a token of one byte.
func EdgesOfByte(b byte) Edges { return Edges(b)<<8 | Edges(b)<<16 }

// Merged returns the edges of the token that two merge into, each of which may be one
// byte.
func Merged(left, right Edges, leftIsByte, rightIsByte bool) Edges {
	e := left&before | right&behind
	if leftIsByte {
		e |= right & 0x00ff0000 << 8
	}
	if rightIsByte {
		e |= left & 0x0000ff00 >> 8
	}
	return e
}

// Seam returns the seam of two tokens that merge.
func (left Edges) Seam(right Edges) Seam { return Seam(left&behind | right&before) }

// AddTo adds the seam to the set, of 1 << (64 - shift) words.
func (s Seam) AddTo(set []byte, shift uint) {
	word, bits := s.place(shift)
	w := set[word*SeamWord:]
	binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)|bits)
}

// In reports whether the set, of 1 << (64 - shift) words, has the seam in any of
// the four ways.
func (s Seam) In(set []byte, shift uint) bool {
	const left, right = 0x000000ff, 0xff000000 // what may not matter
	return s.Has(set, shift) || (s&^left).Has(set, shift) || (s&^right).Has(set, shift) || (s&^(left|right)).Has(set, shift)
}

// Has reports whether the set, of 1 << (64 - shift) words, has the seam as it is:
// what In does for a set in which every byte is spelled out.
func (s Seam) Has(set []byte, shift uint) bool {
	word, bits := s.place(shift)
	return binary.LittleEndian.Uint64(set[word*SeamWord:])&bits == bits
}

// place returns the word of a seam, and its bits there.
func (s Seam) place(shift uint) (word uint, bits uint64) {
	h := uint64(s) * 0x9e3779b97f4a7c15
	return uint(h >> (shift & 63)), 1<<(h>>32&63) | 1<<(h>>38&63)
}
