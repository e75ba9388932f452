// Pkoukk counts with github.com/pkoukk/tiktoken-go and its loader.
package main

import (
	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"

	"github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/first"
)

func main() {
	first.Count(func(text string) int {
		tiktoken.SetBpeLoader(tiktoken_loader.NewOfflineLoader())
		e, err := tiktoken.GetEncoding(tiktoken.MODEL_O200K_BASE)
		if err != nil {
			return 0
		}
		return len(e.EncodeOrdinary(text))
	})
}
