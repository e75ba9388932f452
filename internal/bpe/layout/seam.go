package layout

// A Seam is the two bytes before and the two after the place where two tokens
// meet, in little-endian order. A set of seams has those at which any two tokens merge into one: where the
// seam is not in the set, nothing merges across it, whatever the tokens are. It is
// a Bloom filter of one bit for each member, so that it also has some others.
//
// Where one of the tokens that merge is a single byte, the byte beyond it does not
// matter. Such a seam is in the set with a zero in its place, and a seam has to be
// looked up in each of the four ways.
type Seam uint32

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

// In reports whether the set, of 1 << (64 - shift) bits, has the seam.
func (s Seam) In(set []byte, shift uint) bool {
	const left, right = 0x000000ff, 0xff000000 // what may not matter
	return (s.bit(set, shift)|(s&^left).bit(set, shift)|(s&^right).bit(set, shift)|(s&^(left|right)).bit(set, shift))&1 != 0
}

// AddTo adds the seam to the set.
func (s Seam) AddTo(set []byte, shift uint) {
	h := s.hash(shift)
	set[h/8] |= 1 << (h % 8)
}

func (s Seam) bit(set []byte, shift uint) byte {
	h := s.hash(shift)
	return set[h/8] >> (h % 8)
}

func (s Seam) hash(shift uint) uint { return uint(uint64(s) * 0x9e3779b97f4a7c15 >> (shift & 63)) }
