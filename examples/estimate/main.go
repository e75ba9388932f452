// Estimate prints, for calls to several endpoints, what the limiter expected of
// their usage beside what the answer said it was: against the API where
// OPENAI_API_KEY is set (for less than a cent), else against a stand-in. That counts
// the input as the library does, so that only the API's figures tell how good an
// estimate of it is.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"log"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
)

const model = openai.ChatModelGPT5_4Mini

func main() {
	limiter, err := ratelimiter.New(ratelimiter.WithStreamUsage())
	if err != nil {
		log.Fatal(err)
	}
	base, err := standIn()
	if err != nil {
		log.Fatal(err)
	}
	asker := asker{client: openai.NewClient(openaigo.WithLimiter(limiter, base))}
	calls := []call{
		{"chat", asker.chat},
		{"chat with a tool", asker.tool},
		{"chat with an image", asker.image},
		{"chat, streamed, no maximum declared", asker.stream},
		{"response", asker.response},
		{"response that continues one", asker.response},
		{"embeddings", asker.embeddings},
	}

	t := table.NewWriter()
	t.SetOutputMirror(os.Stdout)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"call", "input estimated", "input used", "output reserved", "output used"})
	for _, c := range calls {
		var info ratelimiter.SettledInfo
		ctx := ratelimiter.ContextWithTrace(context.Background(), &ratelimiter.Trace{
			Settled: func(_ context.Context, i ratelimiter.SettledInfo) { info = i },
		})
		if err := c.do(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
			continue
		}
		t.AppendRow(table.Row{
			c.name, info.Estimate.InputTokens, info.Usage.InputTokens, info.Estimate.OutputTokens, info.Usage.OutputTokens,
		})
	}
	t.Render()
}

type call struct {
	name string
	do   func(context.Context) error
}

// An asker makes the calls.
type asker struct {
	client   openai.Client
	previous string // the response before
}

func (a *asker) chat(ctx context.Context) error {
	_, err := a.client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model: model,
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("You are an astronomer. Answer in one sentence."),
			openai.UserMessage("Which is the brightest star of the southern sky?"),
		},
		MaxCompletionTokens: openai.Int(100),
	})
	return err
}

func (a *asker) tool(ctx context.Context) error {
	_, err := a.client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("When does Canopus rise in Cape Town?")},
		Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name:        "rising",
			Description: openai.String("Says when a star rises"),
			Parameters: shared.FunctionParameters{
				"type": "object",
				"properties": map[string]any{
					"star": map[string]any{"type": "string", "description": "The star's name"},
					"city": map[string]any{"type": "string", "description": "Where it is watched from"},
				},
				"required": []string{"star", "city"},
			},
		})},
		MaxCompletionTokens: openai.Int(100),
	})
	return err
}

func (a *asker) image(ctx context.Context) error {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 512, 512))); err != nil {
		return err
	}
	url := "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.Bytes())
	_, err := a.client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model: model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart("Is there a star in this picture?"),
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url, Detail: "high"}),
		})},
		MaxCompletionTokens: openai.Int(100),
	})
	return err
}

func (a *asker) stream(ctx context.Context) error {
	stream := a.client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name three stars.")},
	})
	defer stream.Close()
	for stream.Next() {
	}
	return stream.Err()
}

// response continues the one before, if there was one.
func (a *asker) response(ctx context.Context) error {
	params := responses.ResponseNewParams{
		Model:           model,
		Instructions:    openai.String("You are an astronomer. Answer in one sentence."),
		Input:           responses.ResponseNewParamsInputUnion{OfString: openai.String("And which is the next?")},
		MaxOutputTokens: openai.Int(100),
	}
	if a.previous != "" {
		params.PreviousResponseID = openai.String(a.previous)
	}
	answer, err := a.client.Responses.New(ctx, params)
	if err != nil {
		return err
	}
	a.previous = answer.ID
	return nil
}

func (a *asker) embeddings(ctx context.Context) error {
	_, err := a.client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: openai.EmbeddingModelTextEmbedding3Small,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"Canopus", "the second brightest star of the night"}},
	})
	return err
}
