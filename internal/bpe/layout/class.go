package layout

// A Class is what the patterns that split text want to know about a rune, one bit
// each, so that a set of classes is their sum.
type Class uint8

const (
	Upper   Class = 1 << iota // \p{Lu} and \p{Lt}
	Lower                     // \p{Ll}
	Letter                    // \p{Lm} and \p{Lo}
	Mark                      // \p{M}
	Number                    // \p{N}
	Newline                   // \r and \n
	Space                     // the rest of \s
	Other                     // everything else
)

// Block is the number of runes whose classes are looked up by one index, chosen so
// that a byte is enough for the index.
const Block = 128
