// Azure asks a deployment of Azure OpenAI. Its limits are the deployment's, so
// that is the name to give them to.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	deployment := cmp.Or(os.Getenv("AZURE_OPENAI_DEPLOYMENT"), "my-deployment")
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(deployment, ratelimiter.Limits{RPM: 180, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("AZURE_OPENAI_API_KEY")
	endpoint := cmp.Or(os.Getenv("AZURE_OPENAI_ENDPOINT"), "https://example.openai.azure.com")
	client := openai.NewClient(
		azure.WithEndpoint(endpoint, "2024-10-21"),
		azure.WithAPIKey(os.Getenv("AZURE_OPENAI_API_KEY")),
		openaigo.WithLimiter(limiter, base))

	answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:               deployment,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star of the southern sky.")},
		MaxCompletionTokens: openai.Int(50),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)
}
