package openaigo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestSuite(t *testing.T) { sdktest.Run(t, sdk()) }

// sdk is OpenAI's own, for the suite that all adapters run.
func sdk() sdktest.SDK {
	return sdktest.SDK{
		Bare: func(c *http.Client, url string) sdktest.Client {
			return client{openai.NewClient(option.WithAPIKey("key"), option.WithBaseURL(url), option.WithHTTPClient(c))}
		},
		Limited: func(l *ratelimiter.Limiter, base http.RoundTripper, url string) sdktest.Client {
			return client{newClient(l, base, url)}
		},
		Bounded: func(l *ratelimiter.Limiter, base http.RoundTripper, url string, d time.Duration) sdktest.Client {
			return client{newClient(l, base, url, option.WithRequestTimeout(d))}
		},
		Azure: func(l *ratelimiter.Limiter, srv *openaitest.Server, key string) sdktest.Client {
			// As the SDK's azure package addresses a deployment.
			base := srv.Transport()
			base.DialTLSContext = base.DialContext
			return client{openai.NewClient(option.WithBaseURL("https://"+sdktest.AzureHost+"/openai/deployments/my%2Fgpt/"),
				option.WithHeader("Api-Key", key), option.WithQuery("api-version", "2024-10-21"), openaigo.WithLimiter(l, base))}
		},
		Deployment: "my/gpt",
		Drives:     drives(),
	}
}

// client makes the suite's calls.
type client struct{ openai.Client }

func (c client) params(call sdktest.Chat) openai.ChatCompletionNewParams {
	p := chat(call.MaxTokens)
	if call.Usage {
		p.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	return p
}

func (c client) Chat(ctx context.Context, call sdktest.Chat) (string, error) {
	r, err := c.Client.Chat.Completions.New(ctx, c.params(call))
	return raw(r, err)
}

func (c client) Stream(ctx context.Context, call sdktest.Chat) sdktest.Stream {
	return stream{c.Client.Chat.Completions.NewStreaming(ctx, c.params(call))}
}

func (c client) Embed(ctx context.Context, input string) (string, error) {
	r, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: "text-embedding-3-small",
		Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(input)},
	})
	return raw(r, err)
}

func (c client) Transcribe(ctx context.Context, audio io.Reader) (string, error) {
	r, err := c.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
		Model: "gpt-4o-transcribe", File: openai.File(audio, "speech.mp3", "audio/mpeg"),
	})
	return raw(r, err)
}

func (c client) Upload(ctx context.Context, content []byte) (string, error) {
	r, err := c.Files.New(ctx, openai.FileNewParams{
		Purpose: openai.FilePurposeBatch, File: openai.File(bytes.NewReader(content), "batch.jsonl", "application/jsonl"),
	})
	return raw(r, err)
}

// raw is what the server said, as the SDK hands it out. Of a failure that is in the
// error, but for what it carries beside its text.
func raw(result interface{ RawJSON() string }, err error) (string, error) {
	var failure *openai.Error
	if errors.As(err, &failure) {
		request, response := failure.DumpRequest(true), failure.DumpResponse(true)
		return string(request) + string(response), err
	}
	if err != nil {
		return "", err
	}
	return result.RawJSON(), nil
}

type stream struct {
	*ssestream.Stream[openai.ChatCompletionChunk]
}

func (s stream) Chunk() string {
	chunk := s.Current()
	parsed, err := json.Marshal(chunk)
	if err != nil {
		panic(err)
	}
	return chunk.RawJSON() + string(parsed)
}

func (s stream) Text() string {
	if choices := s.Current().Choices; len(choices) > 0 {
		return choices[0].Delta.Content
	}
	return ""
}

// drain reads a stream until the SDK says that it is over.
func drain[T any](s *ssestream.Stream[T]) error {
	for s.Next() {
	}
	return s.Err()
}

func drives() []sdktest.Drive {
	var all []sdktest.Drive
	add := func(name string, declared bool, call ratelimiter.Call, make func(context.Context, openai.Client) error) {
		all = append(all, sdktest.Drive{Name: name, Declared: declared, Call: call, Make: func(ctx context.Context, c sdktest.Client) error {
			return make(ctx, c.(client).Client)
		}})
	}

	withUsage := chat(100)
	withUsage.StreamOptions.IncludeUsage = openai.Bool(true)
	two := chat(50)
	two.N = openai.Int(2)
	for _, p := range []struct {
		name     string
		declared bool
		params   openai.ChatCompletionNewParams
	}{{"chat", true, chat(100)}, {"chat of two", true, two}, {"chat without maximum", false, chat(0)}} {
		add(p.name, p.declared, openaigo.Chat(p.params), func(ctx context.Context, c openai.Client) error {
			_, err := c.Chat.Completions.New(ctx, p.params)
			return err
		})
	}
	add("chat stream", true, openaigo.Chat(withUsage), func(ctx context.Context, c openai.Client) error {
		return drain(c.Chat.Completions.NewStreaming(ctx, withUsage))
	})

	text := openai.CompletionNewParams{
		Model:     "gpt-3.5-turbo-instruct",
		Prompt:    openai.CompletionNewParamsPromptUnion{OfString: openai.String("word")},
		MaxTokens: openai.Int(60),
	}
	textWithUsage := text
	textWithUsage.StreamOptions.IncludeUsage = openai.Bool(true)
	add("text", true, openaigo.Completion(text), func(ctx context.Context, c openai.Client) error {
		_, err := c.Completions.New(ctx, text)
		return err
	})
	add("text stream", true, openaigo.Completion(textWithUsage), func(ctx context.Context, c openai.Client) error {
		return drain(c.Completions.NewStreaming(ctx, textWithUsage))
	})

	response := responses.ResponseNewParams{
		Model:           "gpt-4.1",
		Input:           responses.ResponseNewParamsInputUnion{OfString: openai.String("Who is Joseph Conrad?")},
		MaxOutputTokens: openai.Int(100),
	}
	add("response", true, openaigo.Response(response), func(ctx context.Context, c openai.Client) error {
		_, err := c.Responses.New(ctx, response)
		return err
	})
	add("response stream", true, openaigo.Response(response), func(ctx context.Context, c openai.Client) error {
		return drain(c.Responses.NewStreaming(ctx, response))
	})

	embedding := openai.EmbeddingNewParams{
		Model: "text-embedding-3-small",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"word", "word"}},
	}
	add("embeddings", true, openaigo.Embedding(embedding), func(ctx context.Context, c openai.Client) error {
		_, err := c.Embeddings.New(ctx, embedding)
		return err
	})

	image := openai.ImageGenerateParams{Model: "dall-e-2", Prompt: "word", N: openai.Int(3)}
	add("images", true, openaigo.Image(image), func(ctx context.Context, c openai.Client) error {
		_, err := c.Images.Generate(ctx, image)
		return err
	})
	return all
}
