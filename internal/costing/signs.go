package costing

import (
	"encoding/binary"
	"math/bits"
)

// Of two texts of the same length the one of shorter words has more tokens. So tokens go not only
// with bytes but also with signs: ASCII characters that are no letters. To count these takes a
// thirtieth of what counting tokens takes. They are counted around the windows too, and what the
// windows have more or less of them than the text tells what its tokens are taken to be.
type signs struct {
	near    counts // of the text around the windows, and of theirs
	windows int
	all     counts // of all windows
	last    counts // the last one
	// How the windows differ from the one before, by the byte: squares of the differences, and
	// products. A text that changes from one kind to another hardly shows in them.
	ofTokens, ofSigns, ofBoth float64
}

// counts are what a text has.
type counts struct{ bytes, tokens, signs float64 }

// enough windows tell how they differ.
const enough = 12

// around takes in text around a window, with that of the window.
func (s *signs) around(raw []byte) {
	s.near.bytes += float64(len(raw))
	s.near.signs += float64(countSigns(raw))
}

// window takes in a window of so many tokens.
func (s *signs) window(raw []byte, tokens int64) {
	w := counts{float64(len(raw)), float64(tokens), float64(countSigns(raw))}
	if s.windows++; s.windows > 1 {
		weight := min(w.bytes, s.last.bytes)
		tokens := w.tokens/w.bytes - s.last.tokens/s.last.bytes
		signs := w.signs/w.bytes - s.last.signs/s.last.bytes
		s.ofTokens += weight * tokens * tokens
		s.ofSigns += weight * signs * signs
		s.ofBoth += weight * tokens * signs
	}
	s.last = w
	s.all = counts{s.all.bytes + w.bytes, s.all.tokens + w.tokens, s.all.signs + w.signs}
}

// even reports whether a window has about as many tokens as the next.
func (s *signs) even() bool {
	const part = 0.05
	mean := s.all.tokens / s.all.bytes
	return s.windows >= enough && s.ofTokens < 2*part*part*mean*mean*s.all.bytes
}

// more is how many more tokens than by its windows a text of this size has by its signs: by the
// line that fits the windows best, less what that may be by chance.
func (s *signs) more(size float64) float64 {
	if s.windows < enough || s.ofBoth == 0 {
		return 0
	}
	chance := 4 / float64(s.windows) * s.ofTokens / s.ofBoth * s.ofSigns / s.ofBoth
	slope := s.ofBoth / s.ofSigns * max(0, 1-chance)
	return slope * (s.near.signs/s.near.bytes - s.all.signs/s.all.bytes) * size
}

// countSigns returns how many bytes are ASCII and no letters.
func countSigns(raw []byte) (n int) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(raw) >= 8; raw = raw[8:] {
		x := binary.LittleEndian.Uint64(raw)
		small := (x | ones*0x20) &^ tops
		letters := (small + ones*(0x80-'a')) &^ (small + ones*(0x7f-'z'))
		n += bits.OnesCount64(^(x | letters) & tops)
	}
	for _, c := range raw {
		if c < 0x80 && !isLetter(c) {
			n++
		}
	}
	return n
}
