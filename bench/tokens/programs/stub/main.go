// Stub counts characters.
package main

import "github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/first"

func main() {
	first.Count(func(text string) int { return len(text) })
}
