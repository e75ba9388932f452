// Shadow runs the limiter without its consequences: each call starts at once, and at the end
// there is a report of what would have been.
package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithShadow(), // take it away, and the limiter limits
		ratelimiter.WithMaxWait(2*time.Second),
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 300, Burst: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base), option.WithMaxRetries(0))

	begun := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
				Model:               openai.ChatModelGPT5_4Mini,
				Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
				MaxCompletionTokens: openai.Int(50),
			})
			if err != nil {
				log.Print(err)
			}
		})
	}
	wg.Wait()
	fmt.Println("all calls took", time.Since(begun).Round(time.Millisecond))

	time.Sleep(3 * time.Second) // here calls go on
	if err := limiter.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(limiter.ShadowReport())
}
