package openaigo_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
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

// newClient is a client as a user makes it: with all the SDK's retries.
func newClient(l *ratelimiter.Limiter, base http.RoundTripper, url string, options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithAPIKey("key"), option.WithBaseURL(url), openaigo.WithLimiter(l, base),
	}, options...)...)
}

const pipeURL = "http://api.test/v1/"

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
