package openaigo_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// overSockets runs f against the server over HTTP/1.1 and HTTP/2.
func overSockets(t *testing.T, options []openaitest.Option, f func(t *testing.T, srv *openaitest.Server, base http.RoundTripper, url string)) {
	for _, http2 := range []bool{false, true} {
		name := "HTTP1"
		if http2 {
			name = "HTTP2"
		}
		t.Run(name, func(t *testing.T) {
			srv := openaitest.New(options...)
			ts := httptest.NewUnstartedServer(srv)
			ts.EnableHTTP2 = http2
			if http2 {
				ts.StartTLS()
			} else {
				ts.Start()
			}
			defer ts.Close()
			f(t, srv, ts.Client().Transport, ts.URL+"/v1/")
		})
	}
}

// A drive is one kind of call: how the SDK makes it, and what it costs as the
// adapter says.
type drive struct {
	name     string
	declared bool // how much output there may be
	call     ratelimiter.Call
	make     func(context.Context, openai.Client) error
}

// drain reads a stream until the SDK says that it is over.
func drain[T any](s *ssestream.Stream[T]) error {
	for s.Next() {
	}
	return s.Err()
}

func drives() []drive {
	var all []drive
	add := func(name string, declared bool, call ratelimiter.Call, make func(context.Context, openai.Client) error) {
		all = append(all, drive{name, declared, call, make})
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

// What the limiter has charged for each kind of call, and left charged after
// it, is what the server charged: requests and images to the unit, tokens too
// where both count the prompt alike.
func TestAccounts(t *testing.T) {
	var mu sync.Mutex
	var records []openaitest.Record
	options := []openaitest.Option{
		openaitest.WithLimits("", openaitest.Limits{RPM: 1_000, TPM: 1_000_000, IPM: 1_000}),
		openaitest.WithRefunds(true),
		openaitest.WithUndeclared(openaitest.Flat16ThenDebit),
		openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return c.PromptTokens }),
		openaitest.WithLog(func(r openaitest.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		}),
	}
	overSockets(t, options, func(t *testing.T, srv *openaitest.Server, base http.RoundTripper, url string) {
		records = nil
		b := &book{}
		limiter := newLimiter(t, b)
		client := newClient(limiter, base, url)
		total := map[string]ratelimiter.Cost{}
		for i, d := range drives() {
			if err := d.make(t.Context(), client); err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
			s := b.last(t, i+1)
			mu.Lock()
			r := records[i]
			mu.Unlock()

			if d.declared && s.Charged.Tokens != r.Cost.Tokens {
				t.Errorf("%s: charged %d tokens, the server charged %d", d.name, s.Charged.Tokens, r.Cost.Tokens)
			}
			if left := r.Cost.Tokens - r.Refunded.Tokens + r.Debited; s.Final.Tokens != left {
				t.Errorf("%s: %d tokens stay charged, at the server %d", d.name, s.Final.Tokens, left)
			}
			if s.Final.Requests != r.Cost.Requests || s.Final.Images != r.Cost.Images {
				t.Errorf("%s: %+v, at the server %+v", d.name, s.Final, r.Cost)
			}

			// Without HTTP the same call costs the same.
			reservation, err := limiter.Acquire(t.Context(), d.call)
			if err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
			if cost := reservation.Cost(); d.declared && cost != s.Charged {
				t.Errorf("%s: Acquire charged %+v, the Transport %+v", d.name, cost, s.Charged)
			}
			reservation.Cancel()
			b.mu.Lock()
			b.settled = b.settled[:i+1]
			b.mu.Unlock()

			sum := total[s.Model]
			sum.Requests += s.Final.Requests
			sum.Tokens += s.Final.Tokens
			sum.Images += s.Final.Images
			total[s.Model] = sum
		}
		for model, sum := range total {
			a := srv.Account(model)
			got := [3]int64{sum.Requests, sum.Tokens, sum.Images}
			want := [3]int64{a.Bucket(openaitest.RPM).Net(), a.Bucket(openaitest.TPM).Net(), a.Bucket(openaitest.IPM).Net()}
			if got != want || a.Refused != 0 {
				t.Errorf("%s: requests, tokens, images %d, at the server %d, %d refused", model, got, want, a.Refused)
			}
		}
	})
}

// Where the server counts prompts by its own rule, and output that nobody
// declared in one of three ways, State still says what the server's buckets
// say, but for what these two may differ by.
func TestStateFollowsTheServer(t *testing.T) {
	limits := map[string]openaitest.Limit{"rpm": openaitest.RPM, "tpm": openaitest.TPM, "ipm": openaitest.IPM}
	for _, undeclared := range []openaitest.Undeclared{openaitest.Flat16, openaitest.Flat16ThenDebit, openaitest.DebitWhole} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			differ := map[string]int64{} // tokens of a model, at most
			srv := openaitest.New(
				openaitest.WithLimits("", openaitest.Limits{RPM: 60, TPM: 6_000, IPM: 60}),
				openaitest.WithRefunds(true), openaitest.WithUndeclared(undeclared),
				openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 {
					mu.Lock()
					defer mu.Unlock()
					differ[c.Model] += max(c.PromptTokens-c.PromptEstimate, c.PromptEstimate-c.PromptTokens)
					return c.PromptEstimate
				}),
				openaitest.WithLog(func(r openaitest.Record) {
					mu.Lock()
					defer mu.Unlock()
					if r.Endpoint == "chat/completions" && undeclared == openaitest.Flat16 {
						differ[r.Model] += max(0, r.OutputTokens-16)
					}
				}))
			defer srv.Close()
			b := &book{}
			limiter := newLimiter(t, b, ratelimiter.WithLimits("dall-e-2", ratelimiter.Limits{IPM: 60}))
			client := newClient(limiter, srv.Transport(), pipeURL)
			for _, d := range drives() {
				if err := d.make(t.Context(), client); err != nil {
					t.Fatalf("%s: %v", d.name, err)
				}
			}
			b.last(t, len(drives()))

			state, err := limiter.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, scope := range state.Scopes {
				for _, l := range scope.Limits {
					seen++
					used := float64(l.Limit - l.Remaining)
					there := srv.Account(scope.Model).Bucket(limits[l.Name])
					allowed := 1.0 // Remaining is a whole number
					if l.Name == "tpm" {
						allowed += float64(differ[scope.Model])
					}
					if math.Abs(used-there.Used) > allowed || l.Limit != there.Capacity {
						t.Errorf("%s, %s: %v of %d used, at the server %v of %d", scope.Model, l.Name, used, l.Limit, there.Used, there.Capacity)
					}
				}
			}
			if seen < 10 {
				t.Errorf("State told %d limits: %+v", seen, state)
			}
		})
	}
}
