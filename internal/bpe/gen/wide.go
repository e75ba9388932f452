package main

import (
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// wide makes the table of the tokens of each wide rune. Of three bytes that are no
// token two merge if they are one, and then the third does not.
func (v *vocabulary) wide() []byte {
	table := make([]byte, layout.WideTable)
	for r := rune(0x800); r <= 0xffff; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		tokens := 3
		for _, token := range []string{string(r)[:2], string(r)[1:]} {
			if _, ok := v.ranks[token]; ok {
				tokens = 2
			}
		}
		if _, ok := v.ranks[string(r)]; ok {
			tokens = 1
		}
		layout.SetWide(table, r, tokens)
	}
	return table
}
