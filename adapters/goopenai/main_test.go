package goopenai_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(l *ratelimiter.Limiter, client openai.HTTPDoer, url string) *openai.Client {
	config := openai.DefaultConfig("key")
	config.BaseURL, config.HTTPClient = strings.TrimSuffix(url, "/"), client
	return openai.NewClientWithConfig(goopenai.WithLimiter(config, l))
}

// chat asks for an answer of at most max tokens; 0 declares no maximum.
func chat(max int) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model:               "gpt-4o",
		MaxCompletionTokens: max,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Who is Joseph Conrad?"}},
	}
}

// A stream is what the SDK's streams have in common.
type stream[T any] interface {
	Recv() (T, error)
	Close() error
}

// drain reads a stream until the SDK says that it is over.
func drain[T any](s stream[T], err error) error {
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		if _, err := s.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// how a call is made, and what its error is.
var how = []struct {
	name string
	call func(context.Context, *openai.Client, openai.ChatCompletionRequest) error
}{
	{"plain", func(ctx context.Context, c *openai.Client, r openai.ChatCompletionRequest) error {
		_, err := c.CreateChatCompletion(ctx, r)
		return err
	}},
	{"stream", func(ctx context.Context, c *openai.Client, r openai.ChatCompletionRequest) error {
		s, err := c.CreateChatCompletionStream(ctx, r)
		return drain[openai.ChatCompletionStreamResponse](s, err)
	}},
}
