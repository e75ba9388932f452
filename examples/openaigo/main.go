// Openaigo asks a question with openai-go. The limiter is one option of the
// client; without limits of its own it learns them from the server's headers.
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
	limiter, err := ratelimiter.New()
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))

	answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:               openai.ChatModelGPT5_4Mini,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star of the southern sky.")},
		MaxCompletionTokens: openai.Int(50),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)
}
