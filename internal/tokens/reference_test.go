package tokens

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"
)

// Tiktoken counts with github.com/pkoukk/tiktoken-go and the vocabularies of its
// offline loader; nothing is downloaded. A vocabulary is loaded when it is first
// needed, once for the process, which takes a few hundred milliseconds. The zero
// value is ready to use.
//
// Counts are tiktoken's, except that a run of letters, of digits, of white space
// or of other characters is cut after [maxRun] bytes, because tiktoken-go's time
// is quadratic in the length of such a run. Each cut can add a token or two to the
// hundred or so that a run of this length has; ordinary text has no such runs.
type Tiktoken struct{}

var _ Counter = Tiktoken{}

const (
	// maxRun bounds the pieces that byte pairs are merged in.
	maxRun = 512
	// maxSlice bounds what tiktoken-go turns into runes and matches at a time.
	maxSlice = 16 << 10
)

// Count implements [Counter].
func (Tiktoken) Count(e Encoding, text []byte) int {
	if len(text) == 0 {
		return 0
	}
	if int(e) >= encodings {
		e = O200kBase
	}
	vocabulary := vocabularies[e]()
	n := 0
	for len(text) > 0 {
		i := slice(text)
		n += len(vocabulary.EncodeOrdinary(string(text[:i])))
		text = text[i:]
	}
	return n
}

// slice returns how much of text to give to tiktoken-go at once: at most maxSlice
// bytes, and no run beyond maxRun.
func slice(text []byte) int {
	run, class := 0, other
	lineEnd := false // the run has come to a line's end that belongs to it
	for i := 0; i < len(text); {
		if i >= maxSlice {
			return Cut(text[:i])
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		c := classify(r)
		switch {
		case (r == '\r' || r == '\n') && class == other:
			// Line ends belong to the punctuation before them, and in o200k
			// so do slashes after them.
			c, lineEnd = other, true
		case c != class, lineEnd && r != '/':
			run, class, lineEnd = 0, c, false
		}
		if run += size; run > maxRun {
			return i
		}
		i += size
	}
	return len(text)
}

// A runClass is a set of runes that a piece may hold any number of.
type runClass uint8

const (
	other runClass = iota
	letter
	number
	space
)

func classify(r rune) runClass {
	switch {
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// The patterns are those of tiktoken (tiktoken_ext/openai_public.py).
const (
	o200kPattern = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?` +
		`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?` +
		`|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	cl100kPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
)

var p50k = load("p50k_base", gpt2Pattern)

// For ordinary text p50k_edit is p50k_base.
var vocabularies = [encodings]func() *tiktoken.Tiktoken{
	O200kBase:  load("o200k_base", o200kPattern),
	CL100kBase: load("cl100k_base", cl100kPattern),
	P50kBase:   p50k,
	P50kEdit:   p50k,
	R50kBase:   load("r50k_base", gpt2Pattern),
}

// load builds the encoding itself rather than by tiktoken.GetEncoding, which needs
// a loader set for the whole process, the user's own tiktoken-go included.
func load(name, pattern string) func() *tiktoken.Tiktoken {
	return sync.OnceValue(func() *tiktoken.Tiktoken {
		ranks, err := tiktoken_loader.NewOfflineLoader().LoadTiktokenBpe(name + ".tiktoken")
		if err != nil {
			panic("tokens: embedded vocabulary: " + err.Error())
		}
		core, err := tiktoken.NewCoreBPE(ranks, nil, pattern)
		if err != nil {
			panic("tokens: " + name + ": " + err.Error())
		}
		return tiktoken.NewTiktoken(core, nil, nil)
	})
}
