// Groq asks a host that speaks OpenAI's API. The limiter reads its rate-limit headers, which
// are not OpenAI's: requests a day, and tokens a minute.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func main() {
	const model = "openai/gpt-oss-20b"
	limiter, err := ratelimiter.New()
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("GROQ_API_KEY", openaitest.WithDialect(openaitest.Groq),
		openaitest.WithLimits(model, openaitest.Limits{RPM: 30, RPD: 1000, TPM: 8000}))
	client := openai.NewClient(
		option.WithBaseURL("https://api.groq.com/openai/v1/"),
		option.WithAPIKey(os.Getenv("GROQ_API_KEY")),
		openaigo.WithLimiter(limiter, base))

	ctx := context.Background()
	answer, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model:               model,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star of the southern sky.")},
		MaxCompletionTokens: openai.Int(50),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)

	state, err := limiter.State(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, limit := range state.Scopes[0].Limits {
		fmt.Printf("%s: %d of %d remain, says %s\n", limit.Name, limit.Remaining, limit.Limit, limit.Source)
	}
}
