package main

import (
	"context"
	"errors"
	"io"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
)

// goOpenAI sends calls with github.com/sashabaranov/go-openai.
type goOpenAI struct{ client *openai.Client }

func newGoOpenAI(baseURL string, limiter *ratelimiter.Limiter) goOpenAI {
	config := openai.DefaultConfig(apiKey)
	config.BaseURL = baseURL
	if limiter != nil {
		config = goopenai.WithLimiter(config, limiter)
	}
	return goOpenAI{openai.NewClientWithConfig(config)}
}

func (c goOpenAI) send(ctx context.Context, q call) error {
	messages := openai.ChatCompletionRequest{
		Model:               chatModel,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: q.prompt}},
		MaxCompletionTokens: int(q.maxTokens),
	}
	var err error
	switch q.kind {
	case chat:
		_, err = c.client.CreateChatCompletion(ctx, messages)
	case stream:
		var s *openai.ChatCompletionStream
		if s, err = c.client.CreateChatCompletionStream(ctx, messages); err != nil {
			return err
		}
		defer s.Close()
		for err == nil {
			_, err = s.Recv()
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	case text:
		_, err = c.client.CreateCompletion(ctx, openai.CompletionRequest{
			Model: textModel, Prompt: q.prompt, MaxTokens: int(q.maxTokens),
		})
	case image:
		_, err = c.client.CreateImage(ctx, openai.ImageRequest{Model: imageModel, Prompt: q.prompt})
	}
	return err
}
