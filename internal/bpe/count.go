// Package bpe counts tokens: the same number as tiktoken's byte pair encoding, in
// time that is linear in the text whatever the text is, and without allocating.
// [Encoding.Count] is all there is to use.
//
// A text is split into pieces as the encoding's regular expression would. Most
// pieces are a token, which a walk down a trie finds. In the others, tokens are
// tried from left to right, the longest first. A sequence of tokens is what byte
// pair encoding gives if it is for each two neighbours; where no token is left to
// try, the last one is taken back, and where that happened is remembered, so that
// nothing is tried twice. The method, and why it is right, are those of the crate
// bpe of github.com/github/rust-gems (crates/bpe/README.md).
//
// One thing is asked of a vocabulary: that the bytes of each token merge into that
// token. The generator in gen checks it of every token.
package bpe

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// An Encoding is a vocabulary and the pattern that splits text for it. Text that
// spells a special token is ordinary text to it.
type Encoding struct {
	vocabulary *vocabulary
	split      func(text []byte, i int) (end int)
}

// The encodings. For ordinary text o200k_harmony is o200k_base, and p50k_edit is
// p50k_base. The tokens of p50k_base are those of r50k_base and 24 runs of spaces,
// which splitR50k keeps from occurring.
var (
	O200kBase  = &Encoding{o200k, splitO200k}
	CL100kBase = &Encoding{cl100k, splitCL100k}
	P50kBase   = &Encoding{p50k, splitP50k}
	R50kBase   = &Encoding{p50k, splitR50k}

	o200k  = newVocabulary(o200kTrie, o200kTokens, o200kJoints, o200kWide)
	cl100k = newVocabulary(cl100kTrie, cl100kTokens, cl100kJoints, cl100kWide)
	p50k   = newVocabulary(p50kTrie, p50kTokens, p50kJoints, p50kWide)
)

// Count returns the number of tokens that text has. In text that is not valid
// UTF-8 each byte that is not part of a rune counts as U+FFFD. Count may be called
// from many goroutines at once.
func (e *Encoding) Count(text []byte) int {
	if !utf8.Valid(text) {
		s := scratches.Get().(*scratch)
		defer s.put()
		s.text = appendValid(s.text[:0], text)
		text = s.text
	}
	n := 0
	for i := 0; i < len(text); {
		end := e.split(text, i)
		switch size := end - i; {
		case size == 1:
			n++
		case size <= mostKnown && end >= 8:
			n += e.vocabulary.countKnown(text, i, end)
		default:
			n += e.vocabulary.count(text[i:end])
		}
		i = end
	}
	return n
}

// count returns the number of tokens of a piece.
func (v *vocabulary) count(piece []byte) int {
	if len(piece) == 1 {
		return 1
	}
	if len(piece) > 3 && layout.IsWide(piece[0]) {
		return v.countWide(piece)
	}
	first, n := v.longest(piece)
	if n == len(piece) {
		return 1
	}
	return v.countFrom(piece, first, n)
}

// countWide counts a piece that begins with wide runes. It is cut between two of
// them where nothing can merge, and most parts then are one rune, whose tokens are
// in a table: in Chinese, all but few with the older encodings.
func (v *vocabulary) countWide(piece []byte) int {
	count, begin := 0, 0
	for i := 3; i < len(piece) && layout.IsWide(piece[i]); i += 3 {
		if layout.Seam(binary.LittleEndian.Uint32(piece[i-2:])).Has(v.joints, v.jointShift) {
			continue
		}
		if i-begin == 3 {
			count += layout.Wide(v.wide, piece[begin:])
		} else {
			count += v.countPart(piece[begin:i])
		}
		begin = i
	}
	if len(piece)-begin == 3 {
		return count + layout.Wide(v.wide, piece[begin:])
	}
	return count + v.countPart(piece[begin:])
}

// countPart counts a part of a piece that is not cut further.
func (v *vocabulary) countPart(part []byte) int {
	first, n := v.longest(part)
	if n == len(part) {
		return 1
	}
	return v.countFrom(part, first, n)
}

// countFrom counts a piece that is more than the longest token that it begins
// with, which has n bytes.
func (v *vocabulary) countFrom(piece []byte, first found, n int) int {
	if len(piece) <= 3 {
		// Two of the bytes merge if any two neighbours do, and no more.
		if len(piece) == 3 && n < 2 {
			_, n = v.longest(piece[1:])
		}
		return len(piece) + 1 - n
	}
	if len(piece) <= 64 {
		var ends, dead [1]uint64
		return v.backtrack(piece, first, n, ends[:], dead[:])
	}
	s := scratches.Get().(*scratch)
	defer s.put()
	ends, dead := s.sets(len(piece))
	return v.backtrack(piece, first, n, ends, dead)
}

// backtrack counts the tokens of a piece that begins with the token next of n
// bytes and none longer. The sets are empty and have room for the piece's
// positions: in ends are those where the tokens so far end, in dead those after
// which nothing fits.
func (v *vocabulary) backtrack(piece []byte, next found, n int, ends, dead set) int {
	v.derive.Do(v.deriveAll)
	var (
		count       int
		at          int    // where the tokens so far end
		last        found  // the last of them
		lastLongest bool   // last is the longest token where it begins
		longest     = true // so is next
		again       bool   // next is last, tried before the longest
	)
	for {
		if end := at + n; !dead.has(end) && (at == 0 || !v.mayMergeAt(piece, at) || v.neighbours(v.id(last), v.id(next), lastLongest)) {
			count++
			if end == len(piece) {
				return count
			}
			ends.add(end)
			at, last, lastLongest = end, next, longest
			// In p50k_base a long run of spaces is tokens of 16. If 25 were
			// tried first, every position would be found dead in turn.
			rest := piece[at:]
			again = len(rest) >= n && rest[n-1] == piece[at-1] && bytes.Equal(rest[:n], piece[at-n:at])
			if longest = !again; longest {
				next, n = v.longest(rest)
			}
			continue
		}
		if again {
			again, longest = false, true
			next, n = v.longest(piece[at:])
			continue
		}
		longest = false
		if prefix, m := v.longest(piece[at : at+n-1]); m > 0 {
			next, n = prefix, m
			continue
		}
		// Even a single byte does not fit after last, so last is wrong.
		dead.add(at)
		ends.remove(at)
		count--
		begin := ends.before(at)
		next, n, lastLongest = last, at-begin, false
		if at = begin; at > 0 {
			last, _ = v.longest(piece[ends.before(at):at])
			again = v.id(last) == v.id(next) // perhaps it was
		}
	}
}

// neighbours reports whether byte pair encoding of the two tokens' bytes gives
// these tokens, that is, merges nothing across their border. It undoes the merges
// that made the tokens, the latest first, and looks at what then meets at the
// border: if the two merge into a token that would have come before what was
// undone, they would have merged. Of equal ranks the left one comes first.
//
// If left is the longest token where it begins, the two themselves do not merge.
func (v *vocabulary) neighbours(left, right uint32, longest bool) bool {
	l, r := v.token(left), v.token(right)
	for limit := uint32(layout.None); ; longest = false {
		if !longest && layout.MayMerge(l, r) && v.mergeBefore(limit, left, right) {
			return false
		}
		if left > right {
			if left < layout.Bytes {
				return true
			}
			limit = left
			left = l.Right()
			l = v.token(left)
		} else {
			if right < layout.Bytes {
				return true
			}
			limit = right + 1
			right = r.Left()
			r = v.token(right)
		}
	}
}

// A set is a set of positions in a piece, beginning with 1.
type set []uint64

func (s set) has(i int) bool { return s[uint(i-1)/64]&(1<<(uint(i-1)%64)) != 0 }
func (s set) add(i int)      { s[uint(i-1)/64] |= 1 << (uint(i-1) % 64) }
func (s set) remove(i int)   { s[uint(i-1)/64] &^= 1 << (uint(i-1) % 64) }

// before returns the largest element below i, or 0.
func (s set) before(i int) int {
	w := uint(i-1) / 64
	for below := s[w] & (1<<(uint(i-1)%64) - 1); ; below = s[w] {
		if below != 0 {
			return int(w)*64 + bits.Len64(below)
		}
		if w == 0 {
			return 0
		}
		w--
	}
}

// A scratch is what counting needs room for.
type scratch struct {
	text  []byte   // made valid
	words []uint64 // of the sets of a long piece
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is how many bytes of text a scratch may have grown for and be kept.
const maxScratch = 4 << 20

func (s *scratch) put() {
	if cap(s.text) <= maxScratch && cap(s.words) <= maxScratch/8 {
		scratches.Put(s)
	}
}

// sets returns two empty sets for the positions of a piece of n bytes.
func (s *scratch) sets(n int) (set, set) {
	words := (n + 63) / 64
	if cap(s.words) < 2*words {
		s.words = make([]uint64, 2*words)
	}
	s.words = s.words[:2*words]
	clear(s.words)
	return s.words[:words], s.words[words:]
}
