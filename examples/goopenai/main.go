// Goopenai streams an answer with go-openai. The limiter is one line of the
// client's configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

const model = "gpt-5.4-mini"

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	config := openai.DefaultConfig(os.Getenv("OPENAI_API_KEY"))
	config.HTTPClient = &http.Client{Transport: base}
	config = goopenai.WithLimiter(config, limiter)
	client := openai.NewClientWithConfig(config)

	stream, err := client.CreateChatCompletionStream(context.Background(), openai.ChatCompletionRequest{
		Model:               model,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Name a star of the southern sky."}},
		MaxCompletionTokens: 50,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			fmt.Println()
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(chunk.Choices[0].Delta.Content)
	}
}
