package bpe_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe"
	"github.com/openai-ratelimiter/ratelimiter/internal/lineartest"
)

func TestGolden(t *testing.T) {
	for _, g := range golden {
		for i, e := range encodings[:len(g.counts)] {
			if got := e.Count([]byte(g.text)); got != g.counts[i] {
				t.Errorf("%s: %s: %q has %d tokens, want %d", e.name, g.name, g.text, got, g.counts[i])
			}
		}
	}
}

// The golden counts themselves, and texts cut anywhere, so that every rule meets
// the end of the text, in the middle of runes as well.
func TestGoldenAgainstReference(t *testing.T) {
	for i, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			for _, g := range golden {
				if want := reference(e.name, g.text); i < len(g.counts) && g.counts[i] != want {
					t.Errorf("%s: tiktoken-go gives %q %d tokens, the table %d", g.name, g.text, want, g.counts[i])
				}
				for from := 0; from < len(g.text); from += 1 + len(g.text)/20 {
					to := min(len(g.text), from+1+len(g.text)/3)
					check(t, e, g.text[from:to])
				}
			}
		})
	}
}

// The figures are those of the OpenAI cookbook, How to count tokens with tiktoken:
// r50k_base, p50k_base, cl100k_base, o200k_base.
func TestPublished(t *testing.T) {
	order := []*bpe.Encoding{bpe.R50kBase, bpe.P50kBase, bpe.CL100kBase, bpe.O200kBase}
	for text, counts := range map[string][4]int{
		"antidisestablishmentarianism": {5, 5, 6, 6},
		"2 + 2 = 4":                    {5, 5, 7, 7},
		"お誕生日おめでとう":                    {14, 14, 9, 8},
	} {
		for i, e := range order {
			if got := e.Count([]byte(text)); got != counts[i] {
				t.Errorf("%d: %q has %d tokens, want %d", i, text, got, counts[i])
			}
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, e := range encodings {
		if n := e.Count(nil); n != 0 {
			t.Errorf("%s: nothing has %d tokens", e.name, n)
		}
	}
}

// Long runs take other paths than short ones: sets of more than one word, tokens
// tried again. Here the reference is at the limit of what it can do.
func TestLongPieces(t *testing.T) {
	for _, e := range encodings[:4] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			for _, unit := range []string{
				"a", "A", "ab", "é", "好", "天地玄黄", "\u0301", "7", "-", "=-", "/\n", "\n", " ", "\t", " \t", " \u00a0", "\xff",
				"GATTACA", "endaringo", "\t                   ", "👩‍👧",
			} {
				for _, n := range []int{1, 2, 30, 63, 64, 65, 127, 128, 129, 400, 1200} {
					text := strings.Repeat(unit, n/len(unit)+1)[:n]
					check(t, e, text)
					check(t, e, "x"+text+"y")
				}
			}
		})
	}
}

// Only the bytes of the text itself are read: those behind it in the same array
// may be another goroutine's.
func TestReadsOnlyText(t *testing.T) {
	for _, e := range encodings {
		for _, g := range golden {
			text := append([]byte(g.text), "more letters 123"...)[:len(g.text)]
			if got, want := e.Count(text), e.Count(bytes.Clone(text)); got != want {
				t.Errorf("%s: %q has %d tokens in a larger array, %d alone", e.name, text, got, want)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, g := range golden {
				for i, e := range encodings[:len(g.counts)] {
					if got := e.Count([]byte(g.text)); got != g.counts[i] {
						t.Errorf("%s: %s has %d tokens, want %d", e.name, g.name, got, g.counts[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

// hostile are units that have been the slowest to count when repeated.
var hostile = []string{"a", " ", "\n", "\xff", "/\n", "\u0301", "A\u0301", "\t                   ants", "                     \n\t     ", "endar", "خو"}

func TestDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget on purpose under the race detector")
	}
	for _, e := range encodings {
		for _, unit := range append([]string{"Rarely dissimilar. ", "好"}, hostile...) {
			text := []byte(strings.Repeat(unit, 10_000/len(unit)))
			// A scratch has to grow, once, and a collection may take it from the pool.
			if n := testing.AllocsPerRun(50, func() { e.Count(text) }); n > 0 {
				t.Errorf("%s: counting %q repeated allocates %v times", e.name, unit, n)
			}
		}
	}
}

// The time is linear in the text, whatever it repeats; BenchmarkCount has the
// figures.
func TestLinear(t *testing.T) {
	for _, e := range encodings[:4] {
		for _, unit := range hostile {
			err := lineartest.Check(16<<10, func(size int) func() {
				text := []byte(strings.Repeat(unit, size/len(unit)))
				return func() { e.Count(text) }
			})
			if err != nil {
				t.Errorf("%s, %q: %v", e.name, unit, err)
			}
		}
	}
}

func BenchmarkCount(b *testing.B) {
	for _, e := range encodings[:4] {
		for _, bm := range []struct {
			name, unit string
			size       int
		}{
			{"words", "It was the best of times, it was the worst of times, it was the age of wisdom. ", 100_000},
			{"letter", "a", 1_000_000},
			{"spaces", " ", 1_000_000},
		} {
			b.Run(e.name+"/"+bm.name, func(b *testing.B) {
				text := []byte(strings.Repeat(bm.unit, bm.size/len(bm.unit)))
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					e.Count(text)
				}
			})
		}
	}
}
