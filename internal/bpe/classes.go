package bpe

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

const (
	upper   = layout.Upper
	lower   = layout.Lower
	letter  = layout.Letter
	mark    = layout.Mark
	number  = layout.Number
	newline = layout.Newline
	space   = layout.Space
	other   = layout.Other

	letters = upper | lower | letter // \p{L}
	spaces  = newline | space        // \s
	signs   = mark | other           // [^\s\p{L}\p{N}]
)

// ascii has the classes of the runes of one byte, and nothing for the bytes of
// longer ones.
var ascii = func() (classes [256]layout.Class) {
	for r := range utf8.RuneSelf {
		classes[r] = class(rune(r))
	}
	return classes
}()

func class(r rune) layout.Class {
	block := int(classIndex[r/layout.Block])
	return layout.Class(classBlocks[block*layout.Block+int(r%layout.Block)])
}

// classAt returns the class of the rune at text[i:] and its size. It is 0, 0 at
// the end.
func classAt(text []byte, i int) (layout.Class, int) {
	if i < len(text) && ascii[text[i]] != 0 {
		return ascii[text[i]], 1
	}
	return longClassAt(text[i:])
}

// longClassAt returns the class and the size of the rune of more than one byte
// that text begins with. Unlike utf8.DecodeRune it need not ask whether it is one.
func longClassAt(text []byte) (layout.Class, int) {
	if len(text) == 0 {
		return 0, 0
	}
	switch b := text[0]; {
	case b < 0xe0:
		return class(rune(b&0x1f)<<6 | rune(text[1]&0x3f)), 2
	case b < 0xf0:
		return class(rune(b&0x0f)<<12 | rune(text[1]&0x3f)<<6 | rune(text[2]&0x3f)), 3
	default:
		return class(rune(b&0x07)<<18 | rune(text[1]&0x3f)<<12 | rune(text[2]&0x3f)<<6 | rune(text[3]&0x3f)), 4
	}
}

// skip returns where the run of runes of these classes ends that begins at
// text[i:].
func skip(text []byte, i int, set layout.Class) int {
	for i < len(text) {
		c, size := ascii[text[i]], 1
		if c == 0 {
			if isIdeograph(text[i]) {
				c, size = letter, 3
			} else {
				c, size = longClassAt(text[i:])
			}
		}
		if c&set == 0 {
			break
		}
		i += size
	}
	return i
}

// isIdeograph reports whether a rune that begins with this byte is from U+5000 to
// U+9FFF, all of which are ideographs, which are letters. Looking them up takes a
// third of the time that splitting Chinese does.
func isIdeograph(first byte) bool { return 0xe5 <= first && first <= 0xe9 }

const (
	eachByte = 0x0101010101010101
	topBits  = 0x80 * eachByte

	smallOnly = 0
	anyCase   = ('a' - 'A') * eachByte // the bit that makes letters small
)

// skipLetters returns where the run of ASCII letters ends that begins at text[i:],
// with anyCase of any, or else of small ones. Most words take it one round. It is
// just small enough for the compiler to inline, which is worth 6 % of English.
func skipLetters(text []byte, i int, fold uint64) int {
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:]) | fold
		low := x &^ topBits
		// The top bit of each byte that is not from a to z.
		if out := (x | (low + (0x80-'z'-1)*eachByte) | ^(low + (0x80-'a')*eachByte)) & topBits; out != 0 {
			return i + bits.TrailingZeros64(out)>>3
		}
	}
	for i < len(text) && text[i]|byte(fold)-'a' <= 'z'-'a' {
		i++
	}
	return i
}
