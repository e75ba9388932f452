package bpe

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// However a class is found, it is the one that package unicode gives.
func TestClasses(t *testing.T) {
	of := map[layout.Class]func(rune) bool{
		upper:   func(r rune) bool { return unicode.In(r, unicode.Lu, unicode.Lt) },
		lower:   func(r rune) bool { return unicode.Is(unicode.Ll, r) },
		letter:  func(r rune) bool { return unicode.In(r, unicode.Lm, unicode.Lo) },
		mark:    unicode.IsMark,
		number:  unicode.IsNumber,
		newline: func(r rune) bool { return r == '\r' || r == '\n' },
		space:   func(r rune) bool { return unicode.IsSpace(r) && r != '\r' && r != '\n' },
	}
	var buf [utf8.UTFMax]byte
	for r := range rune(unicode.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		text := utf8.AppendRune(buf[:0], r)
		c, size := classAt(text, 0)
		if size != len(text) {
			t.Fatalf("%U has size %d, want %d", r, size, len(text))
		}
		if is, known := of[c]; known && !is(r) {
			t.Fatalf("%U has class %#x", r, c)
		} else if !known && (c != other || unicode.In(r, unicode.L, unicode.M, unicode.N) || unicode.IsSpace(r)) {
			t.Fatalf("%U has class %#x", r, c)
		}
		if skip(text, 0, c) != len(text) || skip(text, 0, ^c) != 0 {
			t.Fatalf("%U is skipped as another class", r)
		}
	}
}

func TestSkipLetters(t *testing.T) {
	for b := range 256 {
		for at := range 17 {
			text := []byte("abcdefghzyxwabcdefgh")
			text[at] = byte(b)
			isSmall := 'a' <= b && b <= 'z'
			isLetter := isSmall || 'A' <= b && b <= 'Z'
			if got := skipLetters(text, 0, smallOnly); got != at && !isSmall || isSmall && got != len(text) {
				t.Errorf("small letters of %q end at %d", text, got)
			}
			if got := skipLetters(text, 0, anyCase); got != at && !isLetter || isLetter && got != len(text) {
				t.Errorf("letters of %q end at %d", text, got)
			}
		}
	}
}
