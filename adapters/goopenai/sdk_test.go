package goopenai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestSuite(t *testing.T) { sdktest.Run(t, sdk()) }

// sdk is go-openai, for the suite that all adapters run.
func sdk() sdktest.SDK {
	return sdktest.SDK{
		Bare: func(c *http.Client, url string) sdktest.Client {
			config := openai.DefaultConfig("key")
			config.BaseURL, config.HTTPClient = strings.TrimSuffix(url, "/"), c
			return client{openai.NewClientWithConfig(config), openai.GPT4o}
		},
		Limited: func(l *ratelimiter.Limiter, base http.RoundTripper, url string) sdktest.Client {
			return client{newClient(l, &http.Client{Transport: base}, url), openai.GPT4o}
		},
		Azure: func(l *ratelimiter.Limiter, srv *openaitest.Server, key string) sdktest.Client {
			config := openai.DefaultAzureConfig(key, "http://"+sdktest.AzureHost)
			config.APIVersion, config.HTTPClient = "2024-10-21", srv.Client()
			// The deployment of gpt-3.5-turbo is called gpt-35-turbo.
			return client{openai.NewClientWithConfig(goopenai.WithLimiter(config, l)), openai.GPT3Dot5Turbo}
		},
		Deployment: "gpt-35-turbo",
		Drives:     drives(),
		Wrapped:    `Post "` + sdktest.PipeURL + `chat/completions": `,
	}
}

// client makes the suite's calls.
type client struct {
	*openai.Client
	model string
}

func (c client) request(call sdktest.Chat) openai.ChatCompletionRequest {
	r := chat(int(call.MaxTokens))
	r.Model = c.model
	if call.Usage {
		r.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	}
	return r
}

func (c client) Chat(ctx context.Context, call sdktest.Chat) (string, error) {
	return encoded(c.CreateChatCompletion(ctx, c.request(call)))
}

func (c client) Stream(ctx context.Context, call sdktest.Chat) sdktest.Stream {
	s, err := c.CreateChatCompletionStream(ctx, c.request(call))
	return &chatStream{ChatCompletionStream: s, err: err}
}

func (c client) Embed(ctx context.Context, input string) (string, error) {
	return encoded(c.CreateEmbeddings(ctx, openai.EmbeddingRequest{Model: openai.SmallEmbedding3, Input: input}))
}

func (c client) Transcribe(ctx context.Context, audio io.Reader) (string, error) {
	return encoded(c.CreateTranscription(ctx, openai.AudioRequest{Model: "gpt-4o-transcribe", FilePath: "speech.mp3", Reader: audio}))
}

func (c client) Upload(ctx context.Context, content []byte) (string, error) {
	return encoded(c.CreateFileBytes(ctx, openai.FileBytesRequest{Name: "batch.jsonl", Bytes: content, Purpose: openai.PurposeBatch}))
}

// encoded is a result and, where the SDK hands them out, its headers.
func encoded[T any](result T, err error) (string, error) {
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(result)
	if err != nil {
		return "", err
	}
	header := any(&result).(interface{ Header() http.Header }).Header()
	return fmt.Sprint(string(body), header), nil
}

// A chatStream reads as the suite does. Like the SDK it never reads to the end of a
// stream, nor closes one by itself.
type chatStream struct {
	*openai.ChatCompletionStream
	last openai.ChatCompletionStreamResponse
	err  error
}

func (s *chatStream) Next() bool {
	if s.err == nil {
		s.last, s.err = s.Recv()
	}
	return s.err == nil
}

func (s *chatStream) Chunk() string {
	chunk, err := json.Marshal(s.last)
	if err != nil {
		panic(err)
	}
	return string(chunk)
}

func (s *chatStream) Text() string {
	if len(s.last.Choices) == 0 {
		return ""
	}
	return s.last.Choices[0].Delta.Content
}

func (s *chatStream) Err() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

func (s *chatStream) Close() error {
	if s.ChatCompletionStream == nil {
		return nil
	}
	return s.ChatCompletionStream.Close()
}

func drives() []sdktest.Drive {
	var all []sdktest.Drive
	add := func(name string, declared bool, call ratelimiter.Call, make func(context.Context, *openai.Client) error) {
		all = append(all, sdktest.Drive{Name: name, Declared: declared, Call: call, Make: func(ctx context.Context, c sdktest.Client) error {
			return make(ctx, c.(client).Client)
		}})
	}

	withUsage := chat(100)
	withUsage.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	two := chat(50)
	two.N = 2
	for _, r := range []struct {
		name     string
		declared bool
		request  openai.ChatCompletionRequest
	}{{"chat", true, chat(100)}, {"chat of two", true, two}, {"chat without maximum", false, chat(0)}} {
		add(r.name, r.declared, goopenai.Chat(r.request), func(ctx context.Context, c *openai.Client) error {
			_, err := c.CreateChatCompletion(ctx, r.request)
			return err
		})
	}
	add("chat stream", true, goopenai.Chat(withUsage), func(ctx context.Context, c *openai.Client) error {
		s, err := c.CreateChatCompletionStream(ctx, withUsage)
		return drain[openai.ChatCompletionStreamResponse](s, err)
	})

	text := openai.CompletionRequest{Model: openai.GPT3Dot5TurboInstruct, Prompt: "word", MaxTokens: 60}
	add("text", true, goopenai.Completion(text), func(ctx context.Context, c *openai.Client) error {
		_, err := c.CreateCompletion(ctx, text)
		return err
	})
	add("text stream", true, goopenai.Completion(text), func(ctx context.Context, c *openai.Client) error {
		s, err := c.CreateCompletionStream(ctx, text)
		return drain[openai.CompletionResponse](s, err)
	})

	embedding := openai.EmbeddingRequestStrings{Model: openai.SmallEmbedding3, Input: []string{"word", "word"}}
	add("embeddings", true, goopenai.Embedding(embedding), func(ctx context.Context, c *openai.Client) error {
		_, err := c.CreateEmbeddings(ctx, embedding)
		return err
	})

	image := openai.ImageRequest{Model: openai.CreateImageModelDallE2, Prompt: "word", N: 3}
	add("images", true, goopenai.Image(image), func(ctx context.Context, c *openai.Client) error {
		_, err := c.CreateImage(ctx, image)
		return err
	})
	return all
}
