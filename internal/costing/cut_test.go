package costing

import (
	"strings"
	"testing"
)

// Text may be cut behind a word, and nowhere is it read beyond its end.
func TestEndsWord(t *testing.T) {
	for _, x := range []struct {
		before, after string
		want          bool
	}{
		{"word", " next", true},
		{"wor", "d next", false},
		{"don", "'t", false},
		{`two\n`, " lines", false},
		{"слово", " ещё", true},
		{"中文", "，后面", true},
		{"中文", "。后面", true},
		{"中文", "后面", false},
		{"word", "，", false}, // which stands beside Chinese alone
		{"中", "\xef", false},
		{"中", "\xe3", false},
		{"中", "\xe3\x80", false},
	} {
		if got := endsWord([]byte(x.before+x.after), len(x.before)); got != x.want {
			t.Errorf("%q before %q: %v", x.before, x.after, got)
		}
	}
}

// A text in which no word ends nearby is cut within no rune and no escape.
func TestCutWhereNoWordEnds(t *testing.T) {
	for _, unit := range []string{"é", `\n`, "漢"} {
		raw := []byte(strings.Repeat(unit, 100))
		for i := range len(raw) - len(unit) {
			if j := cutFrom(raw, i); j < i || j%len(unit) != 0 {
				t.Errorf("%q is cut at %d, from %d on", unit, j, i)
			}
		}
	}
}
