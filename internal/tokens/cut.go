package tokens

import (
	"unicode"
	"unicode/utf8"
)

// Cut returns the length n of a beginning of text that can be counted by itself, for
// callers that cannot hold all of it. The tokens of text[:n] and of the rest add up to
// those of the whole. If text has no place where that is certain (kilobytes without the
// end of a word), n is len(text), less the start of a rune that is cut off.
//
// The end of a word is such a place: in every encoding a piece that holds letters
// ends where neither a letter, a mark nor the apostrophe of a contraction follows,
// and the letter before keeps the rules for white space, which look ahead, out of
// play.
func Cut(text []byte) (n int) {
	next, size := utf8.DecodeLastRune(text)
	for i := len(text) - size; i > 0; i -= size {
		var before rune
		before, size = utf8.DecodeLastRune(text[:i])
		if unicode.IsLetter(before) && !continuesWord(next) {
			return i
		}
		next = before
	}
	return whole(text)
}

func continuesWord(r rune) bool {
	// An incomplete rune at the end could be anything.
	return r == '\'' || r == utf8.RuneError || unicode.IsLetter(r) || unicode.IsMark(r)
}

// whole returns the length of text without the beginning of a rune at its end.
func whole(text []byte) int {
	for i := len(text) - 1; i > 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}
