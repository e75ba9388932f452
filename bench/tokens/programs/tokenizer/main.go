// Tokenizer counts with github.com/tiktoken-go/tokenizer.
package main

import (
	"github.com/tiktoken-go/tokenizer"

	"github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/first"
)

func main() {
	first.Count(func(text string) int {
		e, err := tokenizer.Get(tokenizer.O200kBase)
		if err != nil {
			return 0
		}
		n, err := e.Count(text)
		if err != nil {
			return 0
		}
		return n
	})
}
