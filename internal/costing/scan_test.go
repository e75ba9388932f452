package costing

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// A string ends at the first quote that no backslash escapes, wherever it stands and however many
// escapes are before it.
func TestClosingQuote(t *testing.T) {
	naive := func(buf []byte, start int) int {
		for i := start; i < len(buf); i++ {
			switch buf[i] {
			case '"':
				return i
			case '\\':
				i++
			}
		}
		return -1
	}
	random := rand.New(rand.NewPCG(1, 0))
	for range 20_000 {
		buf := make([]byte, random.IntN(1200))
		rare := 1 + random.IntN(1+random.IntN(200)) // mostly of many escapes
		for i := 0; i < len(buf); i++ {
			buf[i] = 'a' + byte(random.IntN(200))
			if random.IntN(rare) == 0 {
				buf[i] = '\\'
				if i++; i < len(buf) {
					buf[i] = `"\n`[random.IntN(3)]
				}
			}
		}
		if len(buf) > 0 && random.IntN(4) > 0 {
			buf[random.IntN(len(buf))] = '"'
		}
		start := random.IntN(len(buf) + 1)
		if got, want := closingQuote(buf, start), naive(buf, start); got != want {
			t.Fatalf("%q from %d: %d; want %d", buf, start, got, want)
		}
	}
}

// The end of a string is the same each time that it is asked for, in any order.
func TestClosingIsRemembered(t *testing.T) {
	c := newCursor([]byte(`["a","bcd","ef","","ghijk`))
	starts := []int{2, 6, 12, 17, 20}
	for range 3 {
		for _, start := range starts {
			if got, want := c.closing(start), closingQuote(c.buf, start); got != want {
				t.Errorf("from %d: %d; want %d", start, got, want)
			}
		}
		if c.longStart != 6 || c.longEnd != 9 {
			t.Errorf("the string from %d to %d is taken for the longest", c.longStart, c.longEnd)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for s, want := range map[string]struct {
		n  int64
		ok bool
	}{
		"": {}, " ": {}, "x": {}, "1x": {}, "-": {}, ".": {}, "NaN": {}, "true": {}, "0x5": {}, "--5": {},
		"0": {0, true}, " 7 ": {7, true}, "-7": {-7, true}, "1.2": {2, true}, ".5": {1, true}, "-1.5": {-1, true}, "1e3": {1000, true},
		"1e400": {maxCost, true}, "-1e400": {-maxCost, true}, "1e12": {1e12, true}, "1099511627775": {maxCost - 1, true},
		"1099511627776": {maxCost, true}, "1099511627777": {maxCost, true}, "99999999999999999999999": {maxCost, true},
		"1099511627776.5": {maxCost, true}, "-1099511627776.5": {-maxCost, true}, "-1099511627775": {-maxCost + 1, true},
	} {
		if n, ok := parseNumber([]byte(s)); n != want.n || ok != want.ok {
			t.Errorf("%q: %d, %v; want %d, %v", s, n, ok, want.n, want.ok)
		}
	}
}

// What base64 stands for is three quarters of it, less its line breaks as they stand in JSON.
func TestDecodedLen(t *testing.T) {
	for data, want := range map[string]int64{"": 0, "QUJD": 3, `QUJD\nQUJD`: 6, `QUJD\r\nQUJD\r\n`: 6, `QUJD\rQUJDQUJD`: 9} {
		if got := decodedLen([]byte(data)); got != want {
			t.Errorf("%q: %d; want %d", data, got, want)
		}
	}
}

// A text is cut behind words, not within escapes or runes, and nowhere but in it.
func TestWhereATextIsCut(t *testing.T) {
	for text, want := range map[string]bool{ // the cut is at the bar
		"word| and": true, "wo|rd": false, "word|'s": false, `a\n|x`: false, `\n| x`: false, `word|\n`: false, "word|s": false,
		"é| and": true, "à la carté| x😀": true, "слово| и": true, "Ԁ| x": true, "日本| x": false, "ÿ| x": false, "é|x": false,
		"日本|、x": true, "日本|。": true, "日本|，x": true, "日本|！": true, "x|、": false, "日本|「x": false, "日本|日": false,
	} {
		before, after, _ := strings.Cut(text, "|")
		if got := endsWord([]byte(before+after), len(before)); got != want {
			t.Errorf("a word ends in %s: %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"plain| text": false, `\|u00e9`: true, `\u|00e9`: true, `\u00e|9`: true, `\u00e9|\u00e9`: false, `\|\n`: true, `\ud83d\ude0|0`: true,
		`|\n`: false, `\nand some more| text`: false,
	} {
		before, after, _ := strings.Cut(text, "|")
		if got := escaped([]byte(before+after), len(before)); got != want {
			t.Errorf("an escape may be cut in %s: %v", text, got)
		}
	}
	text := []byte("some words of a text")
	for i, want := range map[int]int{-1: 0, 0: 0, 5: 10, len(text): len(text), len(text) + 1: len(text)} {
		if got := cutFrom(text, i); got != want {
			t.Errorf("from %d on it is cut at %d; want %d", i, got, want)
		}
	}
}
