package bpe_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"
)

// Strings of a few units each, so that they repeat and meet one another.
func TestAgainstReference(t *testing.T) {
	const strings = 25_000
	for seed, e := range encodings[:4] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			g := newGenerator(t, e.name, uint64(seed))
			for range strings {
				check(t, e, g.text())
				if t.Failed() {
					return
				}
			}
		})
	}
}

// Tokens that reach from one rune of three bytes into the next, some of them with
// parts of either, in texts that hold them whole.
func TestAcrossWideRunes(t *testing.T) {
	for seed, e := range encodings[:4] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			g := newGenerator(t, e.name, uint64(seed))
			across := 0
			for _, token := range g.tokens {
				if text, ok := g.complete(token); ok {
					across++
					check(t, e, text)
					check(t, e, "好"+text+"好")
				}
			}
			if across < 50 {
				t.Errorf("%d tokens", across)
			}
		})
	}
}

// complete returns a text of runes of three bytes that a token is part of. ok is
// false where there is none, or the token is within one rune.
func (g *generator) complete(token string) (text string, ok bool) {
	tail := 0 // of a rune, with which the token begins
	for tail < len(token) && !utf8.RuneStart(token[tail]) {
		tail++
	}
	if tail > 2 {
		return "", false
	}
	continues := func() string { return string([]byte{byte(0x80 + g.IntN(0x40))}) }
	switch tail {
	case 1:
		text = "\xe4" + continues()
	case 2:
		text = string([]byte{byte(0xe4 + g.IntN(6))})
	}
	text += token
	for range (3 - (len(text) % 3)) % 3 {
		text += continues()
	}
	wide := 0
	for _, r := range text {
		if utf8.RuneLen(r) != 3 {
			return "", false
		}
		wide++
	}
	return text, wide > 1 && utf8.ValidString(text)
}

// A generator makes short texts out of what the rules distinguish.
type generator struct {
	*rand.Rand
	tokens []string // of the encoding
}

func newGenerator(tb testing.TB, encoding string, seed uint64) *generator {
	tb.Helper()
	ranks, err := tiktoken_loader.NewOfflineLoader().LoadTiktokenBpe(encoding + ".tiktoken")
	if err != nil {
		tb.Fatal(err)
	}
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	g.tokens = make([]string, len(ranks)+1)
	for token, rank := range ranks {
		g.tokens[rank] = token // a special token's rank stays empty
	}
	return g
}

var alphabets = [][]string{
	strings.Split("abcdefghijklmnopqrstuvwxyz", ""),
	strings.Split("ABCDEFGHIJKLMNOPQRSTUVWXYZ", ""),
	strings.Split("etaoinshrdlu", ""),
	{" ", " ", "  ", "\n", "\r\n", "\r", "\t", "\v", "\u0085", "\u00a0", "\u2028", "\u3000"},
	{"'s", "'S", "'t", "'re", "'RE", "'vE", "'m", "'ll", "'lL", "'d", "'", "'ſ", "'x", "’s"},
	strings.Split("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~", ""),
	{"/", "//", "/\n", "\n/", "-", "--", "=", "==", "  //", "/*"},
	{"0", "1", "7", "42", "365", "2024", "٣", "ⅷ", "²", "½"},
	{"é", "É", "ß", "ǅ", "ʰ", "ª", "ſ", "K", "İ", "ı", "\u0301", "\u0345", "ा", "\u20dd", "\ufe0f"},
	{"好", "世界", "こ", "カ", "ー", "한", "א", "ع", "ไ", "ท่", "я", "Я", "ω", "Ω", "नि"},
	{"😀", "👩", "\u200d", "🏽", "🇩🇪", "€", "→", "\x00", "\x1b", "\x7f", "\ufffd", "\ufeff", "\U000e0101"},
	{"\xff", "\xc3", "\xe4\xbd", "\xf0\x9f\x98", "\x80", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"},
	{"<|endoftext|>", "<|fim_prefix|>", "<|endofprompt|>", "<|", "|>"},
}

var tables = []*unicode.RangeTable{
	unicode.Lu, unicode.Lt, unicode.Ll, unicode.Lm, unicode.Lo, unicode.M, unicode.N, unicode.Z, unicode.P, unicode.S, unicode.C,
}

func (g *generator) text() string {
	units := make([]string, 1+g.IntN(5))
	for i := range units {
		units[i] = g.unit()
	}
	var b strings.Builder
	for range 1 + g.IntN(12) {
		b.WriteString(units[g.IntN(len(units))])
	}
	return b.String()
}

func (g *generator) unit() string {
	switch g.IntN(4) {
	case 0: // a token, mostly a common one
		return g.tokens[g.IntN(1+g.IntN(len(g.tokens)))]
	case 1: // a rune of some category
		table := tables[g.IntN(len(tables))]
		if n := len(table.R16); n > 0 && (len(table.R32) == 0 || g.IntN(2) == 0) {
			r := table.R16[g.IntN(n)]
			return string(rune(r.Lo) + rune(r.Stride)*rune(g.IntN(int(r.Hi-r.Lo)/int(r.Stride)+1)))
		}
		r := table.R32[g.IntN(len(table.R32))]
		return string(rune(r.Lo) + rune(r.Stride)*rune(g.IntN(int(r.Hi-r.Lo)/int(r.Stride)+1)))
	default:
		alphabet := alphabets[g.IntN(len(alphabets))]
		return alphabet[g.IntN(len(alphabet))]
	}
}

func FuzzCount(f *testing.F) {
	for _, g := range golden {
		f.Add(g.text)
	}
	for _, alphabet := range alphabets {
		f.Add(strings.Join(alphabet, ""))
	}
	g := newGenerator(f, "o200k_base", 99)
	for range 50 {
		f.Add(g.text())
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 600 {
			t.Skip("the reference would take too long")
		}
		for _, e := range encodings[:4] {
			check(t, e, text)
		}
	})
}
