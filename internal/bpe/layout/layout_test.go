package layout_test

import (
	"testing"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

func TestNode(t *testing.T) {
	for _, value := range []uint32{0, 1, 199_997, layout.None, 1<<22 - 1} {
		n := layout.MakeLeaf('x', value)
		if n.Label() != 'x' || !n.Leaf() || n.Token() || n.Value() != value {
			t.Errorf("leaf %d: %q %v %v %d", value, n.Label(), n.Leaf(), n.Token(), n.Value())
		}
		for _, isToken := range []bool{false, true} {
			n := layout.MakeInner(layout.End, value, isToken)
			if n.Label() != layout.End || n.Leaf() || n.Token() != isToken || n.Value() != value {
				t.Errorf("inner %d: %q %v %v %d", value, n.Label(), n.Leaf(), n.Token(), n.Value())
			}
		}
	}
}

func TestToken(t *testing.T) {
	ids := []uint32{0, 255, 199_997, layout.None}
	for _, left := range ids {
		for _, right := range ids {
			plain := layout.MakeToken(left, right)
			for _, r := range []layout.Token{plain, plain.AsLeft(), plain.AsRight(), plain.AsLeft().AsRight()} {
				if r >= 1<<(8*layout.TokenSize) {
					t.Errorf("%d %d: a record of more than %d bytes", left, right, layout.TokenSize)
				}
				r |= 0xabcdef << (8 * layout.TokenSize) // of the next record
				if r.Left() != left || r.Right() != right {
					t.Errorf("%d %d: %d %d", left, right, r.Left(), r.Right())
				}
				if !r.MergedFrom(left, right) || r.MergedFrom(left^1, right) || r.MergedFrom(left, right^1) {
					t.Errorf("%d is not told from what %d and %d merge into", left, left, right)
				}
			}
			if layout.MayMerge(plain, plain) || layout.MayMerge(plain.AsRight(), plain.AsLeft()) || !layout.MayMerge(plain.AsLeft(), plain.AsRight()) {
				t.Error("MayMerge")
			}
		}
	}
}

func TestSeam(t *testing.T) {
	const shift = 64 - 10
	set := make([]byte, layout.SeamWord<<(64-shift))
	tokens := []string{"a", "ab", " the", "\xe4\xbd", "\xa0"}
	for _, left := range tokens {
		for _, right := range tokens {
			layout.SeamBetween(left, right).AddTo(set, shift)
		}
	}
	missing := 0
	for _, left := range tokens {
		for _, right := range tokens {
			text := "xy" + left + right + "xy"
			at := 2 + len(left)
			seam := layout.SeamBetween(text[:at], text[at:])
			if !seam.In(set, shift) {
				t.Errorf("%q + %q is not in the set", left, right)
			}
			if spelledOut := len(left) > 1 && len(right) > 1; spelledOut && !seam.Has(set, shift) {
				t.Errorf("the set does not have %q + %q as they are", left, right)
			}
			if !(seam ^ 0x00101000).In(set, shift) {
				missing++
			}
		}
	}
	if missing < 20 {
		t.Errorf("of 25 that are not in the set %d are not found", missing)
	}
}

// What the edges of two tokens say is what their bytes say.
func TestEdges(t *testing.T) {
	tokens := []string{"a", "ab", "abc", " the", "\xe4\xbd", "\xa0"}
	edges := func(token string) layout.Edges {
		e := layout.EdgesOfByte(token[0])
		for i := 1; i < len(token); i++ {
			e = layout.Merged(e, layout.EdgesOfByte(token[i]), i == 1, true)
		}
		return e
	}
	for _, left := range tokens {
		for _, right := range tokens {
			if got, want := edges(left).Seam(edges(right)), layout.SeamBetween(left, right); got != want {
				t.Errorf("the seam of %q and %q is %08x, want %08x", left, right, got, want)
			}
			whole := layout.Merged(edges(left), edges(right), len(left) == 1, len(right) == 1)
			if want := edges(left + right); whole != want {
				t.Errorf("the edges of %q and %q are %08x, want %08x", left, right, whole, want)
			}
		}
	}
}

func TestWide(t *testing.T) {
	table := make([]byte, layout.WideTable)
	tokens := func(r rune) int { return 1 + int(r)%3 }
	for r := rune(0x800); r <= 0xffff; r++ {
		if utf8.ValidRune(r) {
			layout.SetWide(table, r, tokens(r))
		}
	}
	for r := range rune(utf8.MaxRune + 1) {
		text := []byte(string(r))
		if wide := layout.IsWide(text[0]); wide != (len(text) == 3) {
			t.Fatalf("%U is wide: %t", r, wide)
		} else if wide && utf8.ValidRune(r) && layout.Wide(table, text) != tokens(r) {
			t.Fatalf("%U has %d tokens, want %d", r, layout.Wide(table, text), tokens(r))
		}
	}
}
