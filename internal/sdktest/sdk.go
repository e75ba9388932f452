// Package sdktest holds what the adapters must keep whatever the SDK: one suite
// that each of them runs, and a recording that compares an SDK with the limiter
// below it to the same SDK without.
package sdktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// An SDK is what the suite needs of one.
type SDK struct {
	// Bare returns a client without the limiter, and Limited one with it as the
	// adapter puts it in, both over base and with all the SDK's retries.
	Bare    func(client *http.Client, url string) Client
	Limited func(l *ratelimiter.Limiter, base http.RoundTripper, url string) Client
	// Bounded returns a Limited client whose every request has the SDK's own
	// timeout. It is nil where the SDK has none.
	Bounded func(l *ratelimiter.Limiter, base http.RoundTripper, url string, d time.Duration) Client
	// Azure returns a Limited client for the Deployment at AzureHost.
	Azure      func(l *ratelimiter.Limiter, srv *openaitest.Server, key string) Client
	Deployment string
	// Drives are all the kinds of calls that the adapter knows.
	Drives []Drive
	// Wrapped is what the SDK writes before an error of its transport, for a chat
	// at PipeURL.
	Wrapped string
}

// AzureHost is where [SDK.Azure] sends its calls.
const AzureHost = "resource.openai.azure.com"

// PipeURL is the base of calls to a server without a network.
const PipeURL = "http://api.test/v1/"

// A Drive is one kind of call: how the SDK makes it, and what it costs as the
// adapter says.
type Drive struct {
	Name     string
	Declared bool // how much output there may be
	Call     ratelimiter.Call
	Make     func(context.Context, Client) error
}

// A Chat is a chat completion that asks who Joseph Conrad is.
type Chat struct {
	MaxTokens int64 // 0 declares no maximum
	Usage     bool  // ask a stream for it
}

// Prompt is what a [Chat] asks, and PromptTokens how many tokens that is.
const (
	Prompt       = "Who is Joseph Conrad?"
	PromptTokens = 12
	Model        = "gpt-4o"
)

// A Client makes calls with an SDK, and returns their results as JSON.
type Client interface {
	Chat(context.Context, Chat) (string, error)
	Stream(context.Context, Chat) Stream
	Embed(ctx context.Context, input string) (string, error)
	// Transcribe and Upload send forms, of a call that is limited and of one that
	// is not.
	Transcribe(ctx context.Context, audio io.Reader) (string, error)
	Upload(ctx context.Context, content []byte) (string, error)
}

// A Stream is what the SDKs' streams have in common.
type Stream interface {
	Next() bool
	Chunk() string // the last, as JSON
	Text() string  // of its delta
	Err() error    // nil for a stream that came to its end
	Close() error
}

// ways are the two to ask for a chat completion, and what the error of each is.
var ways = []struct {
	name string
	call func(context.Context, Client, Chat) error
}{
	{"plain", func(ctx context.Context, c Client, chat Chat) error {
		_, err := c.Chat(ctx, chat)
		return err
	}},
	{"stream", func(ctx context.Context, c Client, chat Chat) error {
		return Drain(c.Stream(ctx, chat))
	}},
}

// Drain reads a stream to its end and closes it.
func Drain(s Stream) error {
	defer s.Close()
	n := 0
	for s.Next() {
		n++
	}
	if s.Err() == nil && n == 0 {
		return errors.New("an empty stream")
	}
	return s.Err()
}

// A Book writes down what became of every call.
type Book struct {
	mu       sync.Mutex
	settled  []ratelimiter.SettledInfo
	attempts int // requests that reached the base
}

func (b *Book) trace() *ratelimiter.Trace {
	return &ratelimiter.Trace{Settled: func(_ context.Context, s ratelimiter.SettledInfo) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.settled = append(b.settled, s)
	}}
}

// Count is a base that counts the requests it passes on.
func (b *Book) Count(base http.RoundTripper) http.RoundTripper {
	return RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		b.mu.Lock()
		b.attempts++
		b.mu.Unlock()
		return base.RoundTrip(req)
	})
}

// Last returns the call that was settled last, and fails the test unless n were.
func (b *Book) Last(t *testing.T, n int) ratelimiter.SettledInfo {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.settled) != n {
		t.Fatalf("%d calls were settled, want %d", len(b.settled), n)
	}
	return b.settled[n-1]
}

// Sent is how many requests reached the base.
func (b *Book) Sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts
}

// A RoundTripFunc is an http.RoundTripper.
type RoundTripFunc func(*http.Request) (*http.Response, error)

func (f RoundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// NewLimiter returns a limiter whose calls b writes down. It fails the test where
// the options are faulty.
func NewLimiter(t testing.TB, b *Book, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	options = append(options, ratelimiter.WithAccount("test"), ratelimiter.WithTrace(b.trace()))
	l, err := ratelimiter.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
