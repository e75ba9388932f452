package bpe_test

import (
	"sync"
	"testing"

	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe"
)

type encoding struct {
	name string // tiktoken-go's
	*bpe.Encoding
}

var encodings = []encoding{
	{"o200k_base", bpe.O200kBase},
	{"cl100k_base", bpe.CL100kBase},
	{"p50k_base", bpe.P50kBase},
	{"r50k_base", bpe.R50kBase},
	{"p50k_edit", bpe.P50kBase},
}

var references = func() map[string]func() *tiktoken.Tiktoken {
	useLoader := sync.OnceFunc(func() { tiktoken.SetBpeLoader(tiktoken_loader.NewOfflineLoader()) })
	m := map[string]func() *tiktoken.Tiktoken{}
	for _, e := range encodings {
		m[e.name] = sync.OnceValue(func() *tiktoken.Tiktoken {
			useLoader()
			ref, err := tiktoken.GetEncoding(e.name)
			if err != nil {
				panic(err)
			}
			return ref
		})
	}
	return m
}()

// reference counts with tiktoken-go's encoding of that name. Its time grows with
// the square of a piece's length, so what it is given must be short.
func reference(encoding, text string) int {
	return len(references[encoding]().EncodeOrdinary(text))
}

// check compares our count with the reference's.
func check(tb testing.TB, e encoding, text string) {
	tb.Helper()
	if got, want := e.Count([]byte(text)), reference(e.name, text); got != want {
		tb.Errorf("%s: %q has %d tokens, tiktoken-go gives it %d", e.name, text, got, want)
	}
}
