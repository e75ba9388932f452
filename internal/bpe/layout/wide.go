package layout

// Wide runes are those that have three bytes in UTF-8, most of the world's letters.
// A table of them has how many tokens each is by itself, in two bits, in the order
// of the runes. Smaller runes have zeros.

// WideTable is the size of a table in bytes.
const WideTable = 1 << 16 / 4

// IsWide reports whether a rune that begins with this byte is wide.
func IsWide(first byte) bool { return first&0xf0 == 0xe0 }

// SetWide puts the number of tokens of a wide rune into the table.
func SetWide(table []byte, r rune, tokens int) {
	table[r/4] |= byte(tokens << (r % 4 * 2))
}

// Wide returns the number of tokens of the wide rune that text begins with.
func Wide(table []byte, text []byte) int {
	r := uint(text[0]&0x0f)<<12 | uint(text[1]&0x3f)<<6 | uint(text[2]&0x3f)
	return int(table[r/4] >> (r % 4 * 2) & 3)
}
