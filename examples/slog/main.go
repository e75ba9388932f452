// Slog writes what the limiter does to a structured log.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 120, Burst: time.Second}),
		ratelimiter.WithWarnings(logger, 0),
		ratelimiter.WithTrace(ratelimiter.LogTrace(logger, nil)))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
				Model:    openai.ChatModelGPT5_4Mini,
				Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
			})
			if err != nil {
				logger.Error("failed", "err", err)
			}
		})
	}
	wg.Wait()
}
