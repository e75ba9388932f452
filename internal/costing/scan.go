package costing

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// A cursor walks over JSON in place, forward only, without recursion and without
// validating: it finds in a valid document what is there, and something bounded
// in any other. On a fault, which the end of a document that was cut off is too,
// it moves to the end, so that every loop over members or elements ends.
//
// Methods that read a value consume it whole, whatever its type.
type cursor struct {
	buf   []byte
	pos   int
	fault bool
	name  [maxName]byte // a member's name that had escapes in it

	longStart, longEnd int // of the longest string
}

// maxName is above the length of every name that means something here.
const maxName = 32

// newCursor returns one at the document's beginning, behind a byte order mark.
func newCursor(buf []byte) cursor {
	c := cursor{buf: buf}
	if bytes.HasPrefix(buf, []byte("\ufeff")) {
		c.pos = len("\ufeff")
	}
	return c
}

func (c *cursor) fail() {
	c.pos, c.fault = len(c.buf), true
}

// peek returns the first byte of what comes next, or 0.
func (c *cursor) peek() byte {
	for ; c.pos < len(c.buf); c.pos++ {
		switch b := c.buf[c.pos]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// enter steps into an object ('{') or an array ('['). It skips any other value
// and returns false.
func (c *cursor) enter(kind byte) bool {
	if c.peek() == kind {
		c.pos++
		return true
	}
	c.skip()
	return false
}

// enterBelow is enter for values that may nest: below maxDepth it skips them.
func (c *cursor) enterBelow(depth int, kind byte) bool {
	if depth > maxDepth {
		c.skip()
		return false
	}
	return c.enter(kind)
}

// maxDepth is how deep what refers to itself is followed: schemas, and groups of
// tools.
const maxDepth = 64

// key reads the next member's name, up to its value. At the object's end it steps
// out and returns false. The name is valid until the next call.
func (c *cursor) key() (name []byte, ok bool) {
	name, ok = c.rawKey()
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unescapeInto(c.name[:0], name)
	}
	return name, ok
}

// rawKey is key, but for escapes, which stay in the name.
func (c *cursor) rawKey() (name []byte, ok bool) {
	b := c.peek()
	for b == ',' {
		c.pos++
		b = c.peek()
	}
	switch b {
	case '}':
		c.pos++
		return nil, false
	case '"':
		name = c.str()
		if c.peek() == ':' {
			c.pos++
			return name, true
		}
	}
	c.fail()
	return nil, false
}

// more reports whether the array has another element, which is then next. At the
// array's end it steps out.
func (c *cursor) more() bool {
	b := c.peek()
	for b == ',' {
		c.pos++
		b = c.peek()
	}
	switch b {
	case ']':
		c.pos++
		return false
	case 0, '}', ':':
		c.fail()
		return false
	}
	return true
}

// str reads a string and returns what is between its quotes, escapes and all. Of
// one that is cut off it returns what there is; of another value, nothing.
func (c *cursor) str() []byte {
	if c.peek() != '"' {
		c.skip()
		return nil
	}
	start := c.pos + 1
	end := c.closing(start)
	if end < 0 {
		c.fail()
		return c.buf[start:]
	}
	c.pos = end + 1
	return c.buf[start:end]
}

// raw skips a value and returns its bytes.
func (c *cursor) raw() []byte {
	c.peek()
	start := c.pos
	c.skip()
	return c.buf[start:c.pos]
}

// mark skips a value and returns where it stands.
func (c *cursor) mark() int {
	c.peek()
	start := c.pos
	c.skip()
	return start
}

// number reads a number. Strings that hold one count; so do fractions, rounded up;
// what is above maxCost is maxCost.
func (c *cursor) number() (n int64, ok bool) {
	if c.peek() == '"' {
		return parseNumber(c.str())
	}
	return parseNumber(c.raw())
}

// given skips a value and reports whether it is one, and not null.
func (c *cursor) given() bool {
	return string(c.raw()) != "null"
}

func (c *cursor) isTrue() bool {
	return string(c.raw()) == "true"
}

// skip passes over a value.
func (c *cursor) skip() {
	switch c.peek() {
	case '"':
		c.str()
	case '{', '[':
		c.skipContainer()
	case 0, '}', ']', ',', ':':
		c.fail()
	default:
		for c.pos < len(c.buf) && !delimits[c.buf[c.pos]] {
			c.pos++
		}
	}
}

func (c *cursor) skipContainer() {
	depth := 0
	for i := c.pos; i < len(c.buf); i++ {
		b := c.buf[i]
		if !structural[b] {
			continue
		}
		switch b {
		case '"':
			if i = c.closing(i + 1); i < 0 {
				c.fail()
				return
			}
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				c.pos = i + 1
				return
			}
		}
	}
	c.fail()
}

var (
	structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}
	delimits   = [256]bool{
		' ': true, '\t': true, '\r': true, '\n': true, ',': true, ':': true,
		'"': true, '{': true, '}': true, '[': true, ']': true,
	}
)

// closing is closingQuote. The longest string, which a prompt may be nearly all of, is looked
// through once: a value that is skipped may be read later.
func (c *cursor) closing(start int) int {
	if start == c.longStart && c.longEnd > 0 {
		return c.longEnd
	}
	end := closingQuote(c.buf, start)
	if end-start > c.longEnd-c.longStart {
		c.longStart, c.longEnd = start, end
	}
	return end
}

// closingQuote returns where the string that starts at start ends, or -1.
func closingQuote(buf []byte, start int) int {
	for from := start; ; {
		i := bytes.IndexByte(buf[from:], '"')
		if i < 0 {
			return -1
		}
		i += from
		escape := i
		for escape > start && buf[escape-1] == '\\' {
			escape--
		}
		if (i-escape)%2 == 0 {
			return i
		}
		// Where one quote is escaped, as in JSON or code, more are near.
		const near = 64 * 64
		end := min(i+1+near, len(buf))
		if i, from = unescapedQuote(buf, i+1, end); i >= 0 || from >= len(buf) {
			return i
		}
	}
}

// unescapedQuote returns where the first quote of buf[from:end] is that no backslash escapes, or −1
// and where to look for the next. The byte at from is not escaped.
func unescapedQuote(buf []byte, from, end int) (quote, next int) {
	i := from
	for i >= 2 && end-i >= block && !mayClose((*[2 + block]byte)(buf[i-2:])) {
		i += block
	}
	escaped := false
	for j := i; j > from && buf[j-1] == '\\'; j-- {
		escaped = !escaped
	}
	for next = min(i+block, end); i < next; i++ {
		switch {
		case escaped:
			escaped = false
		case buf[i] == '"':
			return i, 0
		case buf[i] == '\\':
			escaped = true
		}
	}
	return -1, next
}

const block = 64

// mayClose reports whether a block, which follows two bytes, has a quote that no backslash escapes:
// that no backslash precedes, or more than one. It has no branch for each quote, since those of
// dense text can't be predicted.
func mayClose(b *[2 + block]byte) bool {
	const (
		ones, tops = 0x0101010101010101, 0x8080808080808080
		low        = ones * 0x7f
	)
	var found uint64 // at the top of a byte
	for k := 0; k < block; k += 8 {
		// Zero are: quotes, those behind a backslash, and those behind two.
		quote := binary.LittleEndian.Uint64(b[k+2:]) ^ ones*'"'
		one := binary.LittleEndian.Uint64(b[k+1:]) ^ ones*'\\' | quote
		two := binary.LittleEndian.Uint64(b[k:]) ^ ones*'\\' | one
		found |= (quote&low + low | quote) ^ (one&low + low | one) | (two-ones)&^two
	}
	return found&tops != 0
}

func parseNumber(raw []byte) (n int64, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return 0, false
	}
	for i, b := range raw {
		if b < '0' || b > '9' {
			if i == 0 && b != '-' && b != '.' {
				return 0, false
			}
			return parseFloat(raw)
		}
		if n = n*10 + int64(b-'0'); n >= maxCost {
			return maxCost, true
		}
	}
	return n, true
}

func parseFloat(raw []byte) (n int64, ok bool) {
	// Longer ones have digits that do not matter, or are not meant as a number.
	f, err := strconv.ParseFloat(string(raw[:min(len(raw), 64)]), 64)
	switch {
	case f != f, err != nil && !math.IsInf(f, 0):
		return 0, false
	case f >= maxCost:
		return maxCost, true
	case f <= -maxCost:
		return -maxCost, true
	}
	return int64(math.Ceil(f)), true
}
