// Ours counts with package bpe, all encodings of which it could be told to use.
package main

import (
	"os"

	"github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/first"
	"github.com/openai-ratelimiter/ratelimiter/internal/bpe"
)

func main() {
	encodings := []*bpe.Encoding{bpe.O200kBase, bpe.CL100kBase, bpe.P50kBase, bpe.R50kBase}
	e := encodings[(len(os.Args)-1)%len(encodings)]
	first.Count(func(text string) int { return e.Count([]byte(text)) })
}
