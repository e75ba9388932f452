package statuspage

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

// scene is the page of a service after ten minutes and a half, which pass in virtual time: a
// chat of three customers beside a batch, models with and without limits that are
// configured, some that share theirs, and one that the server has asked to slow down.
func scene(t *testing.T) http.Handler {
	var page *statuspage.Page
	var json []byte
	synctest.Test(t, func(t *testing.T) {
		page = statuspage.New()
		json = play(t, page)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "json" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(json)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// batch marks the context of calls that all processes make in turn.
type batch struct{}

// far is a server that requests take some time to get to, so that it has given back what a call
// has not used before the next one comes.
type far struct{ base http.RoundTripper }

func (f far) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(20 * time.Millisecond):
		return f.base.RoundTrip(req)
	case <-req.Context().Done():
		_ = req.Body.Close()
		return nil, req.Context().Err()
	}
}

func play(t *testing.T, page *statuspage.Page) []byte {
	var slow atomic.Bool
	server := openaitest.New(openaitest.WithRefunds(true),
		openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
			total := time.Second + time.Duration(c.Seq%23)*100*time.Millisecond
			return openaitest.Timing{Headers: total / 4, Total: total}
		}),
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			if c.Model == "o5-pro" && slow.Load() {
				return openaitest.SlowDown(40 * time.Second)
			}
			return openaitest.Answer{}
		}),
		openaitest.WithLimits("gpt-5.4", openaitest.Limits{RPM: 500, TPM: 300_000}),
		openaitest.WithLimits("gpt-5.4-mini", openaitest.Limits{RPM: 500, TPM: 200_000}),
		openaitest.WithLimits("o5-pro", openaitest.Limits{RPM: 100, TPM: 60_000}),
		openaitest.WithLimits("gpt-image-2", openaitest.Limits{IPM: 20, RPM: 60}),
		openaitest.WithLimits("text-embedding-3-small", openaitest.Limits{RPM: 3000, TPM: 1_000_000}),
		openaitest.WithShared("nano", openaitest.Limits{RPM: 1000, TPM: 400_000}, "gpt-5.4-nano", "gpt-5.4-nano-2026-03-17"))
	options := []ratelimiter.Option{
		ratelimiter.WithBackend(memory.New()),
		ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 10}, "batch": {Weight: 1}}),
		ratelimiter.WithLimits("gpt-5.4", ratelimiter.Limits{RPM: 500, TPM: 300_000}),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 200_000}),
		ratelimiter.WithLimits("gpt-image-2", ratelimiter.Limits{IPM: 20, RPM: 60}),
		ratelimiter.WithLimits("o5-pro", ratelimiter.Limits{RPM: 100, TPM: 60_000}),
		ratelimiter.WithLimits("gpt-5-codex", ratelimiter.Limits{RPM: 500, TPM: 500_000}),
		ratelimiter.WithShared("nano", ratelimiter.Limits{RPM: 1000, TPM: 400_000}, "gpt-5.4-nano", "gpt-5.4-nano-2026-03-17"),
	}
	// The chat runs in the process of the page, the batch in that and in two others.
	var limiters []*ratelimiter.Limiter
	var clients []*http.Client
	for _, own := range [][]ratelimiter.Option{{page}, nil, nil} {
		l, err := ratelimiter.New(append(own, options...)...)
		if err != nil {
			t.Fatal(err)
		}
		limiters, clients = append(limiters, l), append(clients, l.Client(far{server.Direct()}))
	}
	var turn atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	post := func(ctx context.Context, path, body string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.openai.com/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer sk-of-the-scene")
		client := clients[0]
		if ctx.Value(batch{}) != nil {
			client = clients[turn.Add(1)%3]
		}
		resp, err := client.Do(req)
		if err != nil {
			return // the scene is over
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	chat := func(model string, words, most int) string {
		return fmt.Sprintf(`{"model":%q,"max_completion_tokens":%d,"messages":[{"role":"user","content":%q}]}`, model, most, strings.Repeat("the sun ", words/2))
	}
	embedding := func(words int) string {
		return fmt.Sprintf(`{"model":"text-embedding-3-small","input":%q}`, strings.Repeat("the sun ", words/2))
	}
	// Calls of a kind come at a rate a second that swings by the minute.
	flow := func(ctx context.Context, rate, swing float64, path, body string) {
		running.Go(func() {
			due := 0.0
			for tick := 0; ctx.Err() == nil; tick++ {
				due += rate / 5 * (1 + swing*math.Sin(float64(tick)/70))
				for ; due >= 1; due-- {
					running.Go(func() { post(ctx, path, body) })
				}
				select {
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	as := func(class, tenant string) context.Context {
		return ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, class), tenant)
	}
	nightly := context.WithValue(as("batch", "nightly"), batch{}, true)
	flow(as("chat", "acme"), 2.2, 0.6, "chat/completions", chat("gpt-5.4", 150, 900))
	flow(as("chat", "globex"), 1.5, 0.9, "chat/completions", chat("gpt-5.4", 300, 700))
	flow(as("chat", "initech"), 0.6, 0.2, "chat/completions", chat("gpt-5.4-mini", 200, 900))
	flow(nightly, 0.9, 0.4, "embeddings", embedding(3000))
	flow(as("chat", "acme"), 4, 0.8, "chat/completions", chat("gpt-5.4-nano", 80, 300))
	flow(as("chat", "globex"), 2, 0.5, "chat/completions", chat("gpt-5.4-nano-2026-03-17", 80, 300))
	flow(as("chat", "acme"), 0.25, 0.3, "images/generations", `{"model":"gpt-image-2","prompt":"a star","n":1}`)
	flow(as("chat", "initech"), 0.4, 0.7, "chat/completions", chat("o5-pro", 400, 1500))
	burst := func(n int, ctx context.Context, path, body string) {
		for i := range n {
			running.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				post(ctx, path, body)
			})
		}
	}
	for i, seconds := range []time.Duration{120, 90, 120, 150, 120} {
		burst(20+5*i, as("chat", "globex"), "chat/completions", chat("gpt-5.4", 1200, 800))
		burst(10+6*i, nightly, "chat/completions", chat("gpt-5.4-mini", 2000, 1000))
		burst(10+8*i, nightly, "embeddings", embedding(2000))
		time.Sleep(seconds * time.Second)
	}
	burst(400, nightly, "chat/completions", chat("gpt-5.4-mini", 1200, 3000))
	burst(15, as("chat", "initech"), "chat/completions", chat("gpt-5.4-mini", 400, 800))
	time.Sleep(18 * time.Second)
	slow.Store(true)
	burst(90, as("chat", "globex"), "chat/completions", chat("gpt-5.4", 2000, 1000))
	time.Sleep(9 * time.Second)
	burst(150, nightly, "embeddings", embedding(4000))
	burst(9, as("chat", "acme"), "images/generations", `{"model":"gpt-image-2","prompt":"a star","n":1}`)
	time.Sleep(2 * time.Second)
	recorder := httptest.NewRecorder()
	page.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/?format=json", http.NoBody))
	if recorder.Code != http.StatusOK {
		t.Errorf("status %d: %s", recorder.Code, recorder.Body)
	}
	cancel()
	running.Wait()
	for _, l := range limiters {
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	return recorder.Body.Bytes()
}
