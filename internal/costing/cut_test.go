package costing

import "testing"

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
