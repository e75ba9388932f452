package main

import (
	"context"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
)

// openaiGo sends calls with github.com/openai/openai-go.
type openaiGo struct{ client openai.Client }

func newOpenAIGo(baseURL string, limiter *ratelimiter.Limiter) openaiGo {
	options := []option.RequestOption{option.WithBaseURL(baseURL), option.WithAPIKey(apiKey)}
	if limiter != nil {
		options = append(options, openaigo.WithLimiter(limiter, nil))
	}
	return openaiGo{openai.NewClient(options...)}
}

func (c openaiGo) send(ctx context.Context, q call) error {
	messages := openai.ChatCompletionNewParams{
		Model:               chatModel,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage(q.prompt)},
		MaxCompletionTokens: openai.Int(q.maxTokens),
	}
	var err error
	switch q.kind {
	case chat:
		_, err = c.client.Chat.Completions.New(ctx, messages)
	case stream:
		s := c.client.Chat.Completions.NewStreaming(ctx, messages)
		defer s.Close()
		for s.Next() {
		}
		err = s.Err()
	case text:
		_, err = c.client.Completions.New(ctx, openai.CompletionNewParams{
			Model:     textModel,
			Prompt:    openai.CompletionNewParamsPromptUnion{OfString: openai.String(q.prompt)},
			MaxTokens: openai.Int(q.maxTokens),
		})
	case image:
		_, err = c.client.Images.Generate(ctx, openai.ImageGenerateParams{Model: imageModel, Prompt: q.prompt})
	}
	return err
}
