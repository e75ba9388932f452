package costing

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// A sign is an ASCII character that is no letter, wherever it stands.
func TestCountSigns(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	for range 20_000 {
		raw := make([]byte, random.IntN(30))
		want := 0
		for i := range raw {
			raw[i] = byte(random.IntN(256))
			if c := raw[i]; c < 0x80 && (c < 'A' || 'Z' < c && c < 'a' || 'z' < c) {
				want++
			}
		}
		if got := countSigns(raw); got != want {
			t.Fatalf("%q has %d signs, want %d", raw, got, want)
		}
	}
}

// Where tokens go with signs, those that a text has beyond its windows' tell what it has more.
func TestTokensGoWithSigns(t *testing.T) {
	withSigns := func(size, n int) []byte {
		raw := bytes.Repeat([]byte{'a'}, size)
		for i := range n {
			raw[i] = ' '
		}
		return raw
	}
	// unlike makes the tokens of every so many windows say the opposite of the signs.
	unlike := func(each, of int) func(int) (int, int) {
		return func(i int) (int, int) {
			if i%of < each {
				return 10 + i%2, 21 - i%2
			}
			return 10 + i%2, 20 + i%2
		}
	}
	for _, tt := range []struct {
		name    string
		windows int
		of      func(i int) (signs, tokens int) // of a window of 100 bytes
		slope   float64
	}{
		{"a line", 15, func(i int) (int, int) { return 10 + i%5, 20 + 2*(i%5) }, 2 * (1 - 4./15)},
		{"a line that falls", 15, func(i int) (int, int) { return 10 + i%5, 30 - 3*(i%5) }, -3 * (1 - 4./15)},
		{"few windows", 12, func(i int) (int, int) { return 10 + i%3, 20 + 2*(i%3) }, 2 * (1 - 4./12)},
		{"too few", 11, func(i int) (int, int) { return 10 + i%3, 20 + 2*(i%3) }, 0},
		{"signs that do not differ", 15, func(i int) (int, int) { return 10, 20 + i%5 }, 0},
		{"tokens that may go with them by chance", 16, unlike(5, 16), 0},
		{"tokens that hardly may", 16, unlike(4, 16), 8. / 15 * (1 - 4./16*14*15/8/8)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s signs
			own, size := 0, 100*tt.windows
			for i := range tt.windows {
				n, tokens := tt.of(i)
				own += n
				raw := withSigns(100, n)
				s.window(raw, int64(tokens))
				s.around(raw)
			}
			s.around(withSigns(1000, 250))
			near := float64(own+250) / float64(size+1000)
			want := tt.slope * (near - float64(own)/float64(size)) * 1e6
			if got := s.more(1e6); math.Abs(got-want) > 1e-3 {
				t.Errorf("%v tokens more, want %v", got, want)
			}
		})
	}
}

// Windows are even where their tokens vary by less than a twentieth.
func TestEven(t *testing.T) {
	for _, tt := range []struct {
		windows, halves int
		want            bool
	}{{12, 10, true}, {12, 11, false}, {11, 0, false}, {12, 0, true}} {
		var s signs
		for i := range tt.windows {
			s.window(make([]byte, 100), int64(1000+tt.halves*(i/2%2*10-5)))
		}
		if got := s.even(); got != tt.want {
			t.Errorf("%d windows of tokens that vary by %d half per cent: %v", tt.windows, tt.halves, got)
		}
	}
}

// Where windows are even, the next is anywhere in two stretches, which it stands for.
func TestWindowsAreAnywhere(t *testing.T) {
	s := sample{stretch: 1000, weight: 1}
	for range enough {
		s.signs.window(make([]byte, 100), 10)
	}
	s.advance()
	second := 0
	for range 100 {
		s.advance()
		switch at := s.next - s.begins; {
		case at < 0 || at >= 2000 || s.weight != 2:
			t.Fatalf("%d bytes after its stretches begin, for %d", at, s.weight)
		case at >= 1000:
			second++
		}
	}
	if second < 30 || second > 70 || s.begins != 1000+100*2000 {
		t.Errorf("%d of 100 are in the second, the last at %d", second, s.begins)
	}
}

// What signs tell never makes a text have less than no token, nor more than one a byte.
func TestSignsAreNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		tokens func(i int) int64 // of a window that has a sign where i is odd
		want   int64
	}{
		{func(i int) int64 { return int64(10 + 90*(i%2)) }, 90},
		{func(i int) int64 { return int64(100 - 90*(i%2)) }, -10},
	} {
		s := sample{seen: 1_000_000, estimated: 10, most: 100, bytes: 1000, tokens: 100}
		for i := range 20 {
			raw := bytes.Repeat([]byte{'a'}, 100)
			raw[0] -= byte(i % 2)
			s.signs.window(raw, tt.tokens(i))
		}
		s.signs.around(make([]byte, 100))
		if got := s.late(); got != tt.want || s.estimated != 10+tt.want {
			t.Errorf("%d tokens more, %d in all, want %d more", got, s.estimated, tt.want)
		}
	}
}
