package goopenai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/sashabaranov/go-openai"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A book writes down what became of every call.
type book struct {
	mu       sync.Mutex
	settled  []ratelimiter.SettledInfo
	attempts int // requests that reached the base
}

func (b *book) trace() *ratelimiter.Trace {
	return &ratelimiter.Trace{Settled: func(_ context.Context, s ratelimiter.SettledInfo) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.settled = append(b.settled, s)
	}}
}

// count is a base that counts the requests it passes on.
func (b *book) count(base http.RoundTripper) http.RoundTripper {
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		b.mu.Lock()
		b.attempts++
		b.mu.Unlock()
		return base.RoundTrip(req)
	})
}

// last returns the call that was settled last, and fails the test unless n were.
func (b *book) last(t *testing.T, n int) ratelimiter.SettledInfo {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.settled) != n {
		t.Fatalf("%d calls were settled, want %d", len(b.settled), n)
	}
	return b.settled[n-1]
}

func (b *book) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newLimiter(t testing.TB, b *book, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	options = append(options, ratelimiter.WithAccount("test"), ratelimiter.WithTrace(b.trace()))
	l, err := ratelimiter.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newClient(l *ratelimiter.Limiter, client openai.HTTPDoer, url string) *openai.Client {
	config := openai.DefaultConfig("key")
	config.BaseURL, config.HTTPClient = url, client
	return openai.NewClientWithConfig(goopenai.WithLimiter(config, l))
}

const pipeURL = "http://api.test/v1"

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
