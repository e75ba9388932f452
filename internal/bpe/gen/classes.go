package main

import (
	"bytes"
	"unicode"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// classTable returns the class of every rune in two levels: for each block of
// runes its number, and the blocks. The categories are those of package unicode,
// which is where tiktoken-go's regexp2 has them from.
func classTable() (index, blocks []byte) {
	for first := rune(0); first <= unicode.MaxRune; first += layout.Block {
		block := make([]byte, layout.Block)
		for i := range block {
			block[i] = byte(classify(first + rune(i)))
		}
		n := 0
		for n < len(blocks) && !bytes.Equal(blocks[n:n+layout.Block], block) {
			n += layout.Block
		}
		if n == len(blocks) {
			blocks = append(blocks, block...)
		}
		if n/layout.Block > 0xff {
			panic("more blocks of runes than a byte can number")
		}
		index = append(index, byte(n/layout.Block))
	}
	return index, blocks
}

func classify(r rune) layout.Class {
	switch {
	case unicode.In(r, unicode.Lu, unicode.Lt):
		return layout.Upper
	case unicode.Is(unicode.Ll, r):
		return layout.Lower
	case unicode.In(r, unicode.Lm, unicode.Lo):
		return layout.Letter
	case unicode.Is(unicode.M, r):
		return layout.Mark
	case unicode.Is(unicode.N, r):
		return layout.Number
	case r == '\r' || r == '\n':
		return layout.Newline
	case unicode.IsSpace(r):
		return layout.Space
	}
	return layout.Other
}
