package invisible

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	embedding "github.com/cloudwego/eino-ext/components/embedding/openai"
	eino "github.com/cloudwego/eino-ext/components/model/openai"
	"github.com/cloudwego/eino/schema"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/tmc/langchaingo/llms"
	langchain "github.com/tmc/langchaingo/llms/openai"

	"github.com/openai-ratelimiter/ratelimiter"
	adapter "github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
)

const (
	chatModel  = "gpt-4o"
	embedModel = "text-embedding-3-small"
	pipeURL    = "http://api.test" // of a server without a network
	prompt     = "Who is Joseph Conrad?"
	maxTokens  = 20
)

// A caller makes calls of three kinds with a library.
type caller struct {
	chat   func(ctx context.Context) (string, error)
	stream func(ctx context.Context, piece func(string)) error
	embed  func(ctx context.Context) ([]float64, error)
}

// Chat, Stream and Embed are what methods finds.
func (c *caller) Chat(ctx context.Context) (string, error) { return c.chat(ctx) }

// Stream returns what the stream has said, a line for each piece.
func (c *caller) Stream(ctx context.Context) (string, error) {
	var all strings.Builder
	err := c.stream(ctx, func(piece string) { all.WriteString(piece + "\n") })
	return all.String(), err
}

func (c *caller) Embed(ctx context.Context) ([]float64, error) { return c.embed(ctx) }

// A doer is what several libraries take.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// A setup is one way to put the limiter below a library.
type setup struct {
	library, how string
	options      []ratelimiter.Option
	client       func(l *ratelimiter.Limiter, base http.RoundTripper) (*caller, error)
}

func setups() []setup {
	over := func(make func(d doer, url string) (*caller, error), of func(l *ratelimiter.Limiter, base http.RoundTripper) doer) func(*ratelimiter.Limiter, http.RoundTripper) (*caller, error) {
		return func(l *ratelimiter.Limiter, base http.RoundTripper) (*caller, error) {
			return make(of(l, base), pipeURL)
		}
	}
	plain := func(l *ratelimiter.Limiter, base http.RoundTripper) doer { return l.Client(base) }
	asDoer := func(l *ratelimiter.Limiter, base http.RoundTripper) doer { return l.Doer(base) }
	responses := []ratelimiter.Option{ratelimiter.WithRejectionResponses()}
	var all []setup
	for _, library := range []struct {
		name    string
		make    func(d doer, url string) (*caller, error)
		doer    bool // it takes one
		adapter func(l *ratelimiter.Limiter, base http.RoundTripper) (*caller, error)
	}{
		{"openai-go", ofOpenAIGo, true, func(l *ratelimiter.Limiter, base http.RoundTripper) (*caller, error) {
			return openAIGo(pipeURL, openaigo.WithLimiter(l, base)), nil
		}},
		{"go-openai", ofGoOpenAI, true, func(l *ratelimiter.Limiter, base http.RoundTripper) (*caller, error) {
			c := goopenai.DefaultConfig("key")
			c.HTTPClient = &http.Client{Transport: base}
			return goOpenAI(adapter.WithLimiter(c, l), pipeURL), nil
		}},
		{"langchaingo", ofLangchain, true, nil},
		{"eino", ofEino, false, nil},
	} {
		if library.adapter != nil {
			all = append(all, setup{library.name, "adapter", nil, library.adapter})
		}
		if library.doer {
			all = append(all, setup{library.name, "`Doer`", nil, over(library.make, asDoer)})
		}
		all = append(all, setup{library.name, "`Client`", nil, over(library.make, plain)},
			setup{library.name, "`Client`, `WithRejectionResponses`", responses, over(library.make, plain)})
	}
	return all
}

func ofOpenAIGo(d doer, url string) (*caller, error) {
	return openAIGo(url, option.WithHTTPClient(d)), nil
}

func openAIGo(url string, limited option.RequestOption) *caller {
	c := openai.NewClient(option.WithAPIKey("key"), option.WithBaseURL(url+"/v1/"), limited)
	params := openai.ChatCompletionNewParams{
		Model: chatModel, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}, MaxTokens: openai.Int(maxTokens),
	}
	return &caller{
		chat: func(ctx context.Context) (string, error) {
			r, err := c.Chat.Completions.New(ctx, params)
			if err != nil {
				return "", err
			}
			return r.Choices[0].Message.Content, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			s := c.Chat.Completions.NewStreaming(ctx, params)
			defer s.Close()
			for s.Next() {
				for _, choice := range s.Current().Choices {
					piece(choice.Delta.Content)
				}
			}
			return s.Err()
		},
		embed: func(ctx context.Context) ([]float64, error) {
			r, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: embedModel, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(prompt)}})
			if err != nil {
				return nil, err
			}
			return r.Data[0].Embedding, nil
		},
	}
}

func ofGoOpenAI(d doer, url string) (*caller, error) {
	c := goopenai.DefaultConfig("key")
	c.HTTPClient = d
	return goOpenAI(c, url), nil
}

func goOpenAI(config goopenai.ClientConfig, url string) *caller {
	config.BaseURL = url + "/v1"
	c := goopenai.NewClientWithConfig(config)
	request := goopenai.ChatCompletionRequest{
		Model: chatModel, Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: prompt}}, MaxCompletionTokens: maxTokens,
	}
	return &caller{
		chat: func(ctx context.Context) (string, error) {
			r, err := c.CreateChatCompletion(ctx, request)
			if err != nil {
				return "", err
			}
			return r.Choices[0].Message.Content, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			s, err := c.CreateChatCompletionStream(ctx, request)
			if err != nil {
				return err
			}
			defer s.Close()
			for {
				chunk, err := s.Recv()
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return err
				}
				for _, choice := range chunk.Choices {
					piece(choice.Delta.Content)
				}
			}
		},
		embed: func(ctx context.Context) ([]float64, error) {
			r, err := c.CreateEmbeddings(ctx, goopenai.EmbeddingRequest{Model: embedModel, Input: prompt})
			if err != nil {
				return nil, err
			}
			return widened(r.Data[0].Embedding), nil
		},
	}
}

func widened(v []float32) []float64 {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	return wide
}

func ofLangchain(d doer, url string) (*caller, error) {
	c, err := langchain.New(langchain.WithToken("key"), langchain.WithBaseURL(url+"/v1"), langchain.WithModel(chatModel),
		langchain.WithEmbeddingModel(embedModel), langchain.WithHTTPClient(d))
	if err != nil {
		return nil, err
	}
	messages := []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, prompt)}
	return &caller{
		chat: func(ctx context.Context) (string, error) {
			r, err := c.GenerateContent(ctx, messages, llms.WithMaxTokens(maxTokens))
			if err != nil {
				return "", err
			}
			return r.Choices[0].Content, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			_, err := c.GenerateContent(ctx, messages, llms.WithMaxTokens(maxTokens), llms.WithStreamingFunc(func(_ context.Context, text []byte) error {
				piece(string(text))
				return nil
			}))
			return err
		},
		embed: func(ctx context.Context) ([]float64, error) {
			r, err := c.CreateEmbedding(ctx, []string{prompt})
			if err != nil {
				return nil, err
			}
			return widened(r[0]), nil
		},
	}, nil
}

func ofEino(d doer, url string) (*caller, error) {
	httpClient := d.(*http.Client) // it takes no other
	most := maxTokens
	ctx := context.Background()
	model, err := eino.NewChatModel(ctx, &eino.ChatModelConfig{APIKey: "key", BaseURL: url + "/v1", Model: chatModel, MaxTokens: &most, HTTPClient: httpClient})
	if err != nil {
		return nil, err
	}
	embedder, err := embedding.NewEmbedder(ctx, &embedding.EmbeddingConfig{APIKey: "key", BaseURL: url + "/v1", Model: embedModel, HTTPClient: httpClient})
	if err != nil {
		return nil, err
	}
	messages := []*schema.Message{schema.UserMessage(prompt)}
	return &caller{
		chat: func(ctx context.Context) (string, error) {
			m, err := model.Generate(ctx, messages)
			if err != nil {
				return "", err
			}
			return m.Content, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			s, err := model.Stream(ctx, messages)
			if err != nil {
				return err
			}
			defer s.Close()
			for {
				m, err := s.Recv()
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return err
				}
				piece(m.Content)
			}
		},
		embed: func(ctx context.Context) ([]float64, error) {
			r, err := embedder.EmbedStrings(ctx, []string{prompt})
			if err != nil {
				return nil, err
			}
			return r[0], nil
		},
	}, nil
}
