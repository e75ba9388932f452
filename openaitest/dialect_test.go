package openaitest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What each dialect says of the same bucket: of 60 requests and 6000 tokens a minute, 600
// and 60,000 a day, after the first call, of 107 tokens, and the 61st.
func TestDialects(t *testing.T) {
	for _, tt := range []struct {
		name             string
		dialect          openaitest.Dialect
		first, throttled string // headers, sorted; the throttled call's beside them
	}{
		{"OpenAI", openaitest.OpenAI, `X-Ratelimit-Limit-Requests: 60
			X-Ratelimit-Limit-Tokens: 6000
			X-Ratelimit-Remaining-Requests: 59
			X-Ratelimit-Remaining-Tokens: 5893
			X-Ratelimit-Reset-Requests: 1s
			X-Ratelimit-Reset-Tokens: 1.07s`, "Retry-After: 1"},
		{"Azure", openaitest.Azure, `X-Ratelimit-Limit-Requests: 60
			X-Ratelimit-Reset-Requests: 1
			X-Ratelimit-Reset-Tokens: 1`, "Retry-After-Ms: 0"},
		{"Groq", openaitest.Groq, `X-Groq-Region: us-west-1
			X-Ratelimit-Limit-Requests: 600
			X-Ratelimit-Limit-Tokens: 6000
			X-Ratelimit-Reset-Requests: 2m24s
			X-Ratelimit-Reset-Tokens: 1.07s`, "Retry-After: 1"},
		{"Mistral", openaitest.Mistral, `X-Ratelimit-Limit-Req-Minute: 60
			X-Ratelimit-Limit-Tokens-Minute: 6000
			X-Ratelimit-Remaining-Req-Minute: 59
			X-Ratelimit-Remaining-Tokens-Minute: 5893
			X-Ratelimit-Tokens-Query-Cost: 107`, "X-Ratelimit-Remaining-Req-Minute: 0"},
		{"Cerebras", openaitest.Cerebras, `X-Ratelimit-Limit-Requests-Day: 600
			X-Ratelimit-Limit-Tokens-Minute: 6000
			X-Ratelimit-Remaining-Requests-Day: 599
			X-Ratelimit-Remaining-Tokens-Minute: 5893
			X-Ratelimit-Reset-Requests-Day: 86400.000000
			X-Ratelimit-Reset-Tokens-Minute: 60.000000`, "Retry-After: 1"},
		{"Together", openaitest.Together, `X-Ratelimit-Limit: 1
			X-Ratelimit-Remaining: 0
			X-Ratelimit-Reset: 1
			X-Tokenlimit-Limit: 100
			X-Tokenlimit-Remaining: 0`, "Retry-After: 1"},
		{"Fireworks", openaitest.Fireworks, `X-Ratelimit-Limit-Requests: 60
			X-Ratelimit-Limit-Tokens-Generated: 1200
			X-Ratelimit-Limit-Tokens-Prompt: 4800
			X-Ratelimit-Over-Limit: no`, "X-Ratelimit-Over-Limit: yes"},
		{"OpenRouter", openaitest.OpenRouter, ``, `X-Ratelimit-Limit: 60
			X-Ratelimit-Remaining: 0
			X-Ratelimit-Reset: 946684801000`},
		{"DigitalOcean", openaitest.DigitalOcean, `Date: Sat, 01 Jan 2000 00:00:00 GMT
			X-Ratelimit-Limit-Requests: 60
			X-Ratelimit-Limit-Tokens-Per-Day: 60000
			X-Ratelimit-Limit-Tokens-Per-Minute: 6000
			X-Ratelimit-Remaining-Tokens-Per-Day: 59893
			X-Ratelimit-Reset-Requests: 0`, "X-Ratelimit-Reset-Requests: 946684801"},
		{"Anthropic", openaitest.Anthropic, `Anthropic-Ratelimit-Requests-Limit: 60
			Anthropic-Ratelimit-Requests-Remaining: 59
			Anthropic-Ratelimit-Requests-Reset: 2000-01-01T00:00:01Z
			Anthropic-Ratelimit-Tokens-Limit: 6000
			Anthropic-Ratelimit-Tokens-Remaining: 6000
			Anthropic-Ratelimit-Tokens-Reset: 2000-01-01T00:00:02Z`, "Retry-After: 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithDialect(tt.dialect),
					openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 6000, RPD: 600, TPD: 60_000}))
				c := http.Client{Transport: srv.Direct()}
				call := func(tokens string) *http.Response {
					resp, err := c.Post("http://x/v1/chat/completions", "application/json", strings.NewReader(
						`{"model":"m","messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":`+tokens+`}`))
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					return resp
				}
				contains := func(resp *http.Response, lines string) {
					for line := range strings.Lines(lines) {
						name, want, _ := strings.Cut(strings.TrimSpace(line), ": ")
						if got := resp.Header.Get(name); got != want {
							t.Errorf("%d, %s: %q; want %q", resp.StatusCode, name, got, want)
						}
					}
				}
				contains(call("100"), tt.first)
				for range 59 {
					srv.Spend("m", openaitest.Cost{Requests: 1})
				}
				if tt.dialect == openaitest.Together {
					time.Sleep(10 * time.Millisecond)
				}
				resp := call("1")
				if resp.StatusCode != http.StatusTooManyRequests {
					t.Errorf("the 61st call is answered with %d", resp.StatusCode)
				}
				contains(resp, tt.throttled)
			})
		})
	}
}

// Anthropic rounds what remains to thousands, in either direction.
func TestAnthropicRounds(t *testing.T) {
	for spent, want := range map[int64]string{2300: "4000", 2450: "3000"} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithDialect(openaitest.Anthropic), openaitest.WithLimits("m", openaitest.Limits{TPM: 6000}))
			srv.Spend("m", openaitest.Cost{Tokens: spent})
			c := http.Client{Transport: srv.Direct()}
			resp, err := c.Post("http://x/v1/chat/completions", "application/json", strings.NewReader(
				`{"model":"m","messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":100}`))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Anthropic-Ratelimit-Tokens-Remaining"); got != want {
				t.Errorf("%s of 6000 remain after %d and a hundred; want %s", got, spent, want)
			}
		})
	}
}

// A project's limit shows in headers of its own alone.
func TestProjectLimits(t *testing.T) {
	srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{TPM: 2_000_000}),
		openaitest.WithProjectLimits("m", openaitest.Limits{TPM: 200}))
	c := http.Client{Transport: srv.Direct()}
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		resp, err := c.Post("http://x/v1/chat/completions", "application/json", strings.NewReader(
			`{"model":"m","messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":100}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("X-Ratelimit-Limit-Tokens") != "2000000" || resp.Header.Get("X-Ratelimit-Limit-Project-Tokens") != "200" {
			t.Errorf("%d with %v; want %d", resp.StatusCode, resp.Header, want)
		}
	}
}
