package ratelimiter_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// tiktokenCounter is github.com/pkoukk/tiktoken-go as a Counter. It keeps what it
// loads by itself, and its encodings are safe for concurrent use.
type tiktokenCounter struct{}

func (tiktokenCounter) Count(_, encoding, text string) int {
	e, err := tiktoken.GetEncoding(encoding)
	if err != nil {
		return -1
	}
	return len(e.EncodeOrdinary(text))
}

func TestCounterOfTiktoken(t *testing.T) {
	tiktoken.SetBpeLoader(tiktoken_loader.NewOfflineLoader())
	theirs := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithCounter(tiktokenCounter{}))
	ours := newLimiter(t, ratelimiter.WithAccount("a"))
	for _, model := range []string{"gpt-4o", "gpt-4", "text-davinci-003", "text-davinci-edit-001", "davinci", "llama-3.3-70b"} {
		call := ratelimiter.Chat{Model: model, MaxTokens: 1, Messages: []ratelimiter.Message{
			{Role: "user", Content: "Größe: 12,345 \"quoted\"\n\tfunc main() {} <|endoftext|> 你好，世界 😀"},
		}}
		got, want := acquire(t, theirs, call), acquire(t, ours, call)
		if got.Cost() != want.Cost() || got.Cost().Tokens < 20 {
			t.Errorf("%s: %+v with tiktoken-go, %+v without", model, got.Cost(), want.Cost())
		}
		got.Cancel()
		want.Cancel()
	}
}

// counterFunc is a function as a Counter.
type counterFunc func(model, encoding, text string) int

func (f counterFunc) Count(model, encoding, text string) int { return f(model, encoding, text) }

// A count has its bounds, whatever the counter says.
func TestCounterIsBounded(t *testing.T) {
	const text = "Say this is a test" // 18 bytes, 5 tokens
	const rest = 3 + 3 + 1            // a message, the reply, and the maximum declared
	for _, test := range []struct {
		says int
		want int64
	}{
		{0, rest},
		{7, 2*7 + rest}, // the role and the text
		{-1, 1 + 5 + rest},
		{math.MinInt, 1 + 5 + rest},
		{math.MaxInt, 4*(4+18) + rest},
		{1 << 30, 4*(4+18) + rest},
	} {
		l := newLimiter(t, ratelimiter.WithAccount("a"),
			ratelimiter.WithCounter(counterFunc(func(_, _, _ string) int { return test.says })))
		r := acquire(t, l, ratelimiter.Chat{
			Model: "m", Messages: []ratelimiter.Message{{Role: "user", Content: text}}, MaxTokens: 1,
		})
		if got := r.Cost().Tokens; got != test.want {
			t.Errorf("the counter says %d: %d tokens, want %d", test.says, got, test.want)
		}
		r.Cancel()
	}
}

// The counter learns which model the text is for: what the body says, else the
// deployment, and their encoding.
func TestCounterGetsTheModel(t *testing.T) {
	for _, test := range []struct{ path, model, named, encoding string }{
		{"/v1/chat/completions", "gpt-4", "gpt-4", "cl100k_base"},
		{"/v1/chat/completions", "ft:GPT-4o:acme::id", "ft:GPT-4o:acme::id", "o200k_base"},
		{"/v1/chat/completions", "llama-3.3-70b", "llama-3.3-70b", "o200k_base"},
		{"/v1/chat/completions", "", "", "o200k_base"},
		{"/openai/deployments/gpt-35-turbo/chat/completions", "", "gpt-35-turbo", "cl100k_base"},
		{"/openai/deployments/mine/chat/completions", "gpt-4", "gpt-4", "cl100k_base"},
		{"/openai/deployments/mine/chat/completions", "", "mine", "o200k_base"},
	} {
		var mu sync.Mutex
		told := map[string][]string{}
		l := newLimiter(t, ratelimiter.WithCounter(counterFunc(func(model, encoding, text string) int {
			mu.Lock()
			defer mu.Unlock()
			told[model+" "+encoding] = append(told[model+" "+encoding], text)
			return 1
		})))
		base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return response(200, "text/event-stream", io.NopCloser(strings.NewReader(
				"data: {\"choices\":[{\"delta\":{\"content\":\"an answer\"}}]}\n\ndata: [DONE]\n\n"))), nil
		})
		post(t, l.Client(base), "http://api.openai.test"+test.path,
			fmt.Sprintf(`{"model":%q,"messages":[{"content":"a question"}],"stream":true}`, test.model))
		texts := told[test.named+" "+test.encoding]
		if !slices.Equal(texts, []string{"a question", "an answer"}) || len(told) != 1 {
			t.Errorf("%s, model %q: the counter was told %q", test.path, test.model, told)
		}
	}
}

// A counter that panics says so, and leaves nothing locked behind.
func TestCounterPanics(t *testing.T) {
	panics := false
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithCounter(counterFunc(func(_, _, text string) int {
		if panics {
			panic("index out of range")
		}
		return len(text)
	})))
	says := func(f func()) (message string) {
		panics = true
		defer func() {
			panics = false
			message = fmt.Sprint(recover())
		}()
		f()
		return ""
	}
	const want = "ratelimiter: the Counter of WithCounter panicked"

	client := l.Client(openaitest.New().Direct())
	if got := says(func() { post(t, client, chatURL, chatBody("gpt-4", 1, false)) }); !strings.Contains(got, want) ||
		!strings.Contains(got, "cl100k_base") || !strings.Contains(got, "index out of range") {
		t.Errorf("of a request: %s", got)
	}
	resp, err := client.Post(chatURL, "application/json", strings.NewReader(chatBody("gpt-4", 10, true)))
	if err != nil {
		t.Fatal(err)
	}
	if got := says(func() { io.ReadAll(resp.Body) }); !strings.Contains(got, want) {
		t.Errorf("of a stream: %s", got)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	state, err := l.State(t.Context())
	if err != nil || len(state.Scopes) != 1 || state.Scopes[0].InFlight != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	if status, _ := post(t, client, chatURL, chatBody("gpt-4", 1, false)); status != http.StatusOK {
		t.Errorf("status %d afterwards", status)
	}
}
