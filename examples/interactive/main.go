// Interactive shares one client between batch calls, which wait as long as it
// takes, and interactive ones, which wait briefly or not at all.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 120, Burst: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))
	ask := func(ctx context.Context) error {
		_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
			Model:    openai.ChatModelGPT5_4Mini,
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
		})
		return err
	}

	batch := context.Background()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := ask(batch); err != nil {
				log.Print(err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // the batch is in line

	interactive := ratelimiter.ContextWithMaxWait(batch, 200*time.Millisecond)
	if err := ask(interactive); errors.Is(err, ratelimiter.ErrMaxWait) {
		fmt.Println("busy, try again later:", err)
	} else if err != nil {
		log.Print(err)
	}
	wg.Wait()
	fmt.Println("the batch is done")
}
