// Bedrock asks a model of OpenAI's on Amazon Bedrock. Requests are signed one by one, with
// credentials that rotate; the account that pays is the region's host, whatever signs.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/bedrock"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	const model = "openai.gpt-oss-20b"
	limiter, err := ratelimiter.New( // Bedrock reports no limits: they are in its quotas
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	base := standin.Base("AWS_BEARER_TOKEN_BEDROCK") // or any other credentials that the AWS SDK finds
	client, err := bedrock.NewClient(ctx, bedrock.Config{AWSRegion: cmp.Or(os.Getenv("AWS_REGION"), "us-west-2")},
		openaigo.WithLimiter(limiter, base))
	if err != nil {
		log.Fatal(err)
	}

	answer, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model:               model,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star of the southern sky.")},
		MaxCompletionTokens: openai.Int(50),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)
	fmt.Println("paid by", limiter.Accounts())
}
