// Streaming prints an answer while it comes. The stream passes through the limiter byte for
// byte; when it ends, the call is charged what it has used.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	settled := ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
		fmt.Printf("\nreserved %d tokens, used %d\n", i.Charged.Tokens, i.Final.Tokens)
	}})
	limiter, err := ratelimiter.New(settled,
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		ratelimiter.WithStreamUsage()) // the stream's last chunk says what it has used
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))

	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:               openai.ChatModelGPT5_4Mini,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Describe the southern sky.")},
		MaxCompletionTokens: openai.Int(500),
	})
	defer stream.Close()
	for stream.Next() {
		if choices := stream.Current().Choices; len(choices) > 0 {
			fmt.Print(choices[0].Delta.Content)
		}
	}
	if err := stream.Err(); err != nil {
		log.Fatal(err)
	}
}
