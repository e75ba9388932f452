package openaigo_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient is a client as a user makes it: with all the SDK's retries.
func newClient(l *ratelimiter.Limiter, base http.RoundTripper, url string, options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithAPIKey("key"), option.WithBaseURL(url), openaigo.WithLimiter(l, base),
	}, options...)...)
}

// chat asks for an answer of at most max tokens; 0 declares no maximum.
func chat(max int64) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model:    "gpt-4o",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Who is Joseph Conrad?")},
	}
	if max > 0 {
		p.MaxCompletionTokens = openai.Int(max)
	}
	return p
}

// how a call is made, and what its error is.
var how = []struct {
	name string
	call func(context.Context, openai.Client, openai.ChatCompletionNewParams, ...option.RequestOption) error
}{
	{"plain", func(ctx context.Context, c openai.Client, p openai.ChatCompletionNewParams, o ...option.RequestOption) error {
		_, err := c.Chat.Completions.New(ctx, p, o...)
		return err
	}},
	{"stream", func(ctx context.Context, c openai.Client, p openai.ChatCompletionNewParams, o ...option.RequestOption) error {
		s := c.Chat.Completions.NewStreaming(ctx, p, o...)
		n := 0
		for s.Next() {
			n++
		}
		if s.Err() == nil && n == 0 {
			return errors.New("an empty stream")
		}
		return s.Err()
	}},
}
