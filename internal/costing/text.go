package costing

import (
	"bytes"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// scratchSize bounds what is unescaped at a time. Strings without escapes are
// counted where they stand.
const scratchSize = 32 << 10

// A reader counts what a body costs as it walks over it.
type reader struct {
	cursor
	counter  tokens.Counter
	encoding tokens.Encoding
	named    string // the model, as the request has it
	model    string // what that stands for
	vision   vision
	context  int64 // 0 until an image asks for it
	guessed  int64
	sample   sample

	scratch [scratchSize]byte
	n       int   // bytes in scratch
	spilled int64 // tokens of text that was in it before
}

var readers = sync.Pool{New: func() any { return new(reader) }}

func newReader(body []byte, counter tokens.Counter) *reader {
	r := readers.Get().(*reader)
	r.cursor = newCursor(body)
	r.counter = counter
	r.n, r.spilled, r.guessed = 0, 0, 0
	r.sample = sample{}
	return r
}

// guess notes that so many tokens may turn out to be fewer, and returns them.
func (r *reader) guess(tokens int64) int64 {
	r.guessed = min(r.guessed+tokens, maxCost)
	return tokens
}

func (r *reader) release() {
	r.cursor, r.counter, r.named, r.model = cursor{}, nil, "", ""
	readers.Put(r)
}

// setModel says which model's rules count from here on.
func (r *reader) setModel(model string) {
	base := strings.ToLower(tokens.Base(model))
	r.named, r.model, r.encoding, r.context = model, base, tokens.ForModel(model), 0
}

// at moves back, or on, to a value that was marked; 0 is none.
func (r *reader) at(mark int) bool {
	r.pos = mark
	return mark > 0
}

// text reads a string and returns its tokens.
func (r *reader) text() int64 {
	if r.sample.stretch > 0 {
		return r.sampled(r.str())
	}
	return r.count(r.str())
}

// count returns the tokens of a string's bytes as they stand in the body.
func (r *reader) count(raw []byte) int64 {
	if bytes.IndexByte(raw, '\\') < 0 {
		return r.measure(raw)
	}
	r.add(raw)
	return r.sum()
}

// measure returns the tokens of text.
func (r *reader) measure(text []byte) int64 {
	if len(text) == 0 {
		return 0
	}
	return int64(r.counter.Count(r.named, r.encoding, text))
}

// add appends a string, as it stands in the body, to the text that sum counts.
func (r *reader) add(raw []byte) {
	r.sample.elsewhere += len(raw)
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			r.write(raw)
			return
		}
		r.write(raw[:i])
		char, n := unescape(raw[i:])
		var utf [utf8.UTFMax]byte
		r.write(utf[:utf8.EncodeRune(utf[:], char)])
		raw = raw[i+n:]
	}
}

func (r *reader) write(text []byte) {
	for len(text) > 0 {
		n := copy(r.scratch[r.n:], text)
		text = text[n:]
		if r.n += n; r.n == len(r.scratch) {
			cut := tokens.Cut(r.scratch[:])
			r.spilled += r.measure(r.scratch[:cut])
			r.n = copy(r.scratch[:], r.scratch[cut:])
		}
	}
}

// sum returns the tokens of the text that was added since the last call.
func (r *reader) sum() int64 {
	total := r.spilled + r.measure(r.scratch[:r.n])
	r.n, r.spilled = 0, 0
	return total
}

// unescape returns the character that the escape sequence at the beginning of raw
// stands for, and its length. Of what is no escape sequence the backslash stays.
func unescape(raw []byte) (char rune, n int) {
	if len(raw) < 2 {
		return '\\', 1
	}
	switch raw[1] {
	case '"', '\\', '/':
		return rune(raw[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		char, ok := hex4(raw)
		if !ok {
			return '\\', 1
		}
		if utf16.IsSurrogate(char) {
			low, _ := hex4(raw[6:])
			if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
				return pair, 12
			}
			return utf8.RuneError, 6
		}
		return char, 6
	}
	return '\\', 1
}

// hex4 reads \uXXXX at the beginning of raw.
func hex4(raw []byte) (char rune, ok bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	for _, b := range raw[2:6] {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			b = b | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		char = char<<4 | rune(b)
	}
	return char, true
}

// unescapeInto appends raw, unescaped, to dst, as far as dst has room.
func unescapeInto(dst, raw []byte) []byte {
	for len(raw) > 0 {
		char, n := utf8.RuneError, 1
		if raw[0] == '\\' {
			char, n = unescape(raw)
		} else {
			char, n = utf8.DecodeRune(raw)
		}
		if len(dst)+utf8.UTFMax > cap(dst) {
			break
		}
		dst = utf8.AppendRune(dst, char)
		raw = raw[n:]
	}
	return dst
}
