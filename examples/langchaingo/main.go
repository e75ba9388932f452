// Langchaingo streams an answer and embeds it with langchaingo, which takes the limiter as
// a Doer. So a call that can't be sent comes out as a *ratelimiter.Error; from
// limiter.Client, langchaingo would take it for a failure of the network.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

const (
	model      = "gpt-5.4-mini"
	embeddings = "text-embedding-3-small"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: 500, TPM: 30_000}),
		ratelimiter.WithLimits(embeddings, ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	llm, err := openai.New(
		openai.WithModel(model),
		openai.WithEmbeddingModel(embeddings),
		openai.WithHTTPClient(limiter.Doer(base)))
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	messages := []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, "Name a star of the southern sky.")}
	answer, err := llm.GenerateContent(ctx, messages, llms.WithMaxTokens(50),
		llms.WithStreamingFunc(func(_ context.Context, piece []byte) error {
			fmt.Printf("%s", piece)
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println()

	vectors, err := llm.CreateEmbedding(ctx, []string{answer.Choices[0].Content})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("a vector of %d\n", len(vectors[0]))

	_, err = llm.GenerateContent(ctx, messages, llms.WithMaxTokens(100_000))
	if rejected, ok := errors.AsType[*ratelimiter.Error](err); ok {
		fmt.Printf("not sent (%s): %v\n", rejected.Code(), rejected)
	}
}
