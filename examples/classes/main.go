// Classes works off a file of prompts beside an interactive service that draws from the same
// budget. While there is not enough for both, the service comes first; what it leaves, the
// batch gets.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 480, Burst: time.Second}),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{
			"chat":  {Weight: 100, MaxWait: 20 * time.Second},
			"batch": {Weight: 1},
		}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))
	ask := func(class, prompt string) time.Duration {
		ctx := ratelimiter.ContextWithClass(context.Background(), class)
		begun := time.Now()
		_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
			Model:               openai.ChatModelGPT5_4Mini,
			Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)},
			MaxCompletionTokens: openai.Int(50),
		})
		if err != nil {
			log.Print(err)
		}
		return time.Since(begun)
	}

	file := "classes/prompts.txt"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	prompts, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	begun := time.Now()
	var batch sync.WaitGroup
	for prompt := range strings.Lines(string(prompts)) {
		batch.Go(func() { ask("batch", prompt) })
	}
	for range 3 {
		time.Sleep(500 * time.Millisecond)
		fmt.Println("a user has waited", ask("chat", "Name a star.").Round(time.Millisecond))
	}
	batch.Wait()
	fmt.Println("the batch has taken", time.Since(begun).Round(time.Millisecond))
}
