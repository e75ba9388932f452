package goopenai_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// overSockets runs f against the server over HTTP/1.1 and HTTP/2.
func overSockets(t *testing.T, options []openaitest.Option, f func(t *testing.T, srv *openaitest.Server, client *http.Client, url string)) {
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
			f(t, srv, ts.Client(), ts.URL+"/v1")
		})
	}
}

// A drive is one kind of call: how the SDK makes it, and what it costs as the
// adapter says.
type drive struct {
	name     string
	declared bool // how much output there may be
	call     ratelimiter.Call
	make     func(context.Context, *openai.Client) error
}

func drives() []drive {
	var all []drive
	add := func(name string, declared bool, call ratelimiter.Call, make func(context.Context, *openai.Client) error) {
		all = append(all, drive{name, declared, call, make})
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
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			// A delta for each token, for a text stream whose usage is not asked for.
			return openaitest.Answer{Deltas: int(max(c.Declared/4, 1))}
		}),
		openaitest.WithLog(func(r openaitest.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		}),
	}
	overSockets(t, options, func(t *testing.T, srv *openaitest.Server, hc *http.Client, url string) {
		records = nil
		b := &book{}
		limiter := newLimiter(t, b)
		client := newClient(limiter, hc, url)
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
				openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
					return openaitest.Answer{Deltas: int(max(c.Declared/4, 1))}
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
			client := newClient(limiter, srv.Client(), pipeURL)
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
			if seen < 8 {
				t.Errorf("State told %d limits: %+v", seen, state)
			}
		})
	}
}
