// Slog writes what the limiter does to a structured log.
package main

import (
	"context"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

var trace = &ratelimiter.Trace{
	Waiting: func(ctx context.Context, i ratelimiter.WaitingInfo) {
		slog.InfoContext(ctx, "waiting", "model", i.Model, "ahead", i.Ahead, "at_least", i.Wait)
	},
	Started: func(ctx context.Context, i ratelimiter.StartedInfo) {
		slog.InfoContext(ctx, "started", "model", i.Model, "tokens", i.Cost.Tokens, "waited", i.Waited)
	},
	NotStarted: func(ctx context.Context, i ratelimiter.NotStartedInfo) {
		slog.InfoContext(ctx, "not started", "model", i.Model, "waited", i.Waited, "err", i.Err)
	},
	Observed: func(ctx context.Context, i ratelimiter.ObservedInfo) {
		slog.DebugContext(ctx, "observed", "status", i.Status, "tokens_left", i.Tokens.Remaining, "latency", i.Latency)
	},
	Paused: func(ctx context.Context, i ratelimiter.PausedInfo) {
		slog.WarnContext(ctx, "throttled by the server", "kind", i.Kind, "pause", i.For, "message", i.Message)
	},
	Settled: func(ctx context.Context, i ratelimiter.SettledInfo) {
		slog.InfoContext(ctx, "settled", "model", i.Model, "charged", i.Charged.Tokens, "final", i.Final.Tokens, "took", i.Duration)
	},
}

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 120, Burst: time.Second}),
		ratelimiter.WithTrace(trace))
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
				slog.Error("failed", "err", err)
			}
		})
	}
	wg.Wait()
}
