// Eino streams an answer and embeds it with eino's components for OpenAI, which take the
// limiter as an *http.Client.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	embedding "github.com/cloudwego/eino-ext/components/embedding/openai"
	"github.com/cloudwego/eino-ext/components/model/openai"
	"github.com/cloudwego/eino/schema"

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
	client := limiter.Client(standin.Base("OPENAI_API_KEY"))
	key := os.Getenv("OPENAI_API_KEY")
	ctx := context.Background()
	most := 50
	chat, err := openai.NewChatModel(ctx, &openai.ChatModelConfig{
		APIKey: key, Model: model, MaxCompletionTokens: &most, HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	embedder, err := embedding.NewEmbedder(ctx, &embedding.EmbeddingConfig{
		APIKey: key, Model: embeddings, HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}

	answer, err := ask(ctx, chat, "Name a star of the southern sky.")
	if err != nil {
		log.Fatal(err)
	}
	vectors, err := embedder.EmbedStrings(ctx, []string{answer})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("a vector of %d\n", len(vectors[0]))

	most = 100_000
	chat, err = openai.NewChatModel(ctx, &openai.ChatModelConfig{
		APIKey: key, Model: model, MaxCompletionTokens: &most, HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	_, err = chat.Generate(ctx, []*schema.Message{schema.UserMessage("Name all stars.")})
	if rejected, ok := errors.AsType[*ratelimiter.Error](err); ok {
		fmt.Printf("not sent (%s): %v\n", rejected.Code(), rejected)
	}
}

// ask prints an answer as it comes, and returns it.
func ask(ctx context.Context, chat *openai.ChatModel, question string) (string, error) {
	stream, err := chat.Stream(ctx, []*schema.Message{schema.UserMessage(question)})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var answer string
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			fmt.Println()
			return answer, nil
		}
		if err != nil {
			return "", err
		}
		fmt.Print(piece.Content)
		answer += piece.Content
	}
}
