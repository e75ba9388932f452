package bpe

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// Pieces that were counted before have the count that they had, wherever the text ends.
func TestKnownPieces(t *testing.T) {
	const words = "A an and the unbelievable counterrevolutionaries naïveté Straße обыкновенный 12 345 ;-) xqzjv qqqqqqqqqqqqqqq 猫が好き\x00 a\x00 a" +
		" xqzjvqxzkjwvqzxjkqvzwxqjzkvwqx 𪚥𪛕𪚥𪛕𪚥𪛕𪚥𪛕 𐎀𐎁𐎂𐎃𐎄𐎅𐎆𐎇"
	for end := range len(words) + 1 {
		text := []byte(words[:end])[:end:end]
		if !utf8.Valid(text) {
			continue
		}
		want := 0
		for i := 0; i < len(text); {
			piece := text[i:splitO200k(text, i)]
			want += o200k.count(piece)
			i += len(piece)
		}
		for range 2 {
			if got := O200kBase.Count(text); got != want {
				t.Errorf("%q has %d tokens, and %d by what was counted before", text, want, got)
			}
		}
	}
}

// No two pieces have the same hash, though each has its place with many others: neither at random,
// with NULs, nor where they differ in one byte.
func TestHashesDiffer(t *testing.T) {
	pieces := map[uint64]string{}
	see := func(piece []byte) {
		hash := hashOf(append([]byte("before  "), piece...), 8, 8+len(piece))
		if other, ok := pieces[hash]; ok && other != string(piece) {
			t.Fatalf("%q and %q have the same hash", piece, other)
		}
		pieces[hash] = string(piece)
	}
	random := rand.New(rand.NewPCG(1, 0))
	for range 20_000 {
		piece := make([]byte, 1+random.IntN(mostKnown))
		for i := range piece {
			piece[i] = byte(random.IntN(3))
		}
		see(piece)
		for i := range piece {
			piece[i] += 3
			see(piece)
			piece[i] -= 3
		}
	}
}
