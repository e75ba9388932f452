package openaitest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each case spends what the captured account had spent, waits, makes one call
// and expects the captured figures.
func TestCapturedHeaders(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []Option
		foreign Cost
		wait    time.Duration
		body    string
		status  int
		want    map[string]string
		message []string
	}{
		{
			name:    "sum of estimate and declared output",
			options: []Option{WithLimits("gpt-4", Limits{TPM: 10_000})},
			body:    chat("gpt-4", "Who is Joseph Conrad?", 512),
			status:  200,
			want: map[string]string{
				"x-ratelimit-limit-tokens": "10000", "x-ratelimit-remaining-tokens": "9481",
				"x-ratelimit-reset-tokens": "3.114s", "x-ratelimit-limit-requests": "",
			},
		},
		{
			name:    "no output declared",
			options: []Option{WithLimits("gpt-4", Limits{TPM: 10_000, RPM: 200})},
			body:    `{"model":"gpt-4","messages":[{"role":"user","content":"Tell me a joke"}]}`,
			status:  200,
			want:    map[string]string{"x-ratelimit-remaining-tokens": "9979", "x-ratelimit-remaining-requests": "199"},
		},
		{
			name:    "daily requests",
			options: []Option{WithLimits("gpt-4", Limits{RPM: 500, RPD: 10_000}), WithHeaderLimits(RPD, TPD)},
			body:    chatOf("gpt-4", 10),
			status:  200,
			want: map[string]string{
				"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "8.64s",
			},
		},
		{
			name:    "fractional use",
			options: []Option{WithLimits("gpt-4", Limits{RPD: 200})},
			foreign: Cost{Requests: 2},
			wait:    318236 * time.Millisecond,
			body:    chatOf("gpt-4", 10),
			status:  200,
			want:    map[string]string{"x-ratelimit-remaining-requests": "197", "x-ratelimit-reset-requests": "16m17.764s"},
		},
		{
			name:    "huge limits reset at once",
			options: []Option{WithLimits("gpt-4", Limits{TPM: 150_000_000})},
			body:    chatOf("gpt-4", 21),
			status:  200,
			want: map[string]string{
				"x-ratelimit-limit-tokens": "150000000", "x-ratelimit-remaining-tokens": "149999979", "x-ratelimit-reset-tokens": "0s",
			},
		},
		{
			name:    "tokens throttled",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 30_000})},
			foreign: Cost{Tokens: 29_446}, wait: 500 * time.Microsecond,
			body:   chatOf("gpt-4o", 821),
			status: 429,
			want: map[string]string{
				"x-ratelimit-remaining-tokens": "554", "x-ratelimit-reset-tokens": "58.891s",
				"retry-after": "1", "retry-after-ms": "534",
			},
			message: []string{`{"error":{"message":"Rate limit reached for gpt-4o in organization org-openaitest on tokens per min (TPM): ` +
				`Limit 30000, Used 29446, Requested 821. Please try again in 534ms. Visit https://platform.openai.com/account/rate-limits to learn more.",` +
				`"type":"tokens","param":null,"code":"rate_limit_exceeded"}}`},
		},
		{
			name:    "seconds",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 10_000})},
			foreign: Cost{Tokens: 8554},
			body:    chatOf("gpt-4o", 3082),
			status:  429,
			want:    map[string]string{"retry-after": "10", "retry-after-ms": "9816"},
			message: []string{"Limit 10000, Used 8554, Requested 3082. Please try again in 9.816s."},
		},
		{
			name:    "requests per day",
			options: []Option{WithLimits("gpt-4o", Limits{RPD: 200})},
			foreign: Cost{Requests: 200},
			body:    chatOf("gpt-4o", 10),
			status:  429,
			want:    map[string]string{"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "24h0m0s"},
			message: []string{"on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.", `"type":"requests"`},
		},
		{
			name:    "tokens per day",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 300_000, TPD: 1_500_000}), WithHeaderLimits(TPD)},
			foreign: Cost{Tokens: 4369}, wait: 57_550 * time.Microsecond,
			body:   chatOf("gpt-4o", 10),
			status: 200,
			want: map[string]string{
				"x-ratelimit-limit-tokens": "1500000", "x-ratelimit-remaining-tokens": "1495621", "x-ratelimit-reset-tokens": "4m12.172s",
			},
		},
		{
			name:    "too large",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 30_000})},
			body:    chatOf("gpt-4o", 31_538),
			status:  429,
			want:    map[string]string{"retry-after": "", "retry-after-ms": "", "x-ratelimit-remaining-tokens": "30000"},
			message: []string{"Request too large for gpt-4o", "(TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced", `"code":"rate_limit_exceeded"`, `"type":"tokens"`},
		},
		{
			name:    "no headers",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 30_000}), WithHeaders(false)},
			body:    chatOf("gpt-4o", 10),
			status:  200,
			want:    map[string]string{"x-ratelimit-remaining-tokens": "", "x-ratelimit-limit-tokens": ""},
		},
		{
			name:    "edited headers",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 30_000}), WithHeader(func(_ *Call, _ int, h http.Header) { h.Set("x-ratelimit-remaining-tokens", "-1") })},
			body:    chatOf("gpt-4o", 10),
			status:  200,
			want:    map[string]string{"x-ratelimit-remaining-tokens": "-1"},
		},
		{
			name:    "Azure",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 10_000, RPM: 100}), WithAzure(true)},
			foreign: Cost{Tokens: 9000, Requests: 19},
			body:    chatOf("gpt-4o", 3000),
			status:  429,
			want: map[string]string{
				"retry-after": "12", "retry-after-ms": "0", "x-ratelimit-reset-requests": "12", "x-ratelimit-reset-tokens": "54",
				"x-ratelimit-renewalperiod-tokens": "60", "x-ratelimit-renewalperiod-requests": "60", "x-ratelimit-type": "Tokens",
			},
			message: []string{`"code":"429"`, "have exceeded token rate limit", "Please retry after 12 seconds."},
		},
		{
			name:    "a subwindow reported",
			options: []Option{WithLimits("gpt-4o", Limits{RPM: 120}), WithSubwindows(Subwindows{Length: 10 * time.Second, Reported: true})},
			body:    chatOf("gpt-4o", 10),
			status:  200,
			want:    map[string]string{"x-ratelimit-limit-requests": "20", "x-ratelimit-remaining-requests": "19"},
		},
		{
			name:    "a subwindow throttles in the limit's words",
			options: []Option{WithLimits("gpt-4o", Limits{RPM: 60}), WithSubwindows(Subwindows{})},
			foreign: Cost{Requests: 1},
			body:    chatOf("gpt-4o", 10),
			status:  429,
			want:    map[string]string{"retry-after-ms": "1000", "x-ratelimit-remaining-requests": "59"},
			message: []string{"on requests per min (RPM): Limit 60, Used 1, Requested 1. Please try again in 1s."},
		},
		{
			name:    "extra headers",
			options: []Option{WithLimits("gpt-4o", Limits{TPM: 30_000}), WithAccountLimits(Limits{TPM: 1_000_000}), WithExtraHeaders(true)},
			body:    `{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}`,
			status:  200,
			want: map[string]string{
				"x-ratelimit-limit-input-images": "50000", "x-ratelimit-remaining-input-images": "49999", "x-ratelimit-reset-input-images": "1ms",
				"x-ratelimit-limit-project-tokens": "1000000", "x-ratelimit-remaining-tokens_usage_based": "29224",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := New(c.options...)
				model := "gpt-4o"
				if strings.Contains(c.body, `"gpt-4"`) {
					model = "gpt-4"
				}
				if !srv.Spend(model, c.foreign) {
					t.Fatal("no room to begin with")
				}
				time.Sleep(c.wait)
				resp, body := post(t, srv.Direct(), chatPath, c.body)
				if resp.StatusCode != c.status {
					t.Errorf("status %d, want %d: %s", resp.StatusCode, c.status, body)
				}
				wantHeaders(t, resp.Header, c.want)
				contains(t, body, c.message...)
			})
		})
	}
}

func TestImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("dall-e-2", Limits{IPM: 5}))
		image := func(n int) (*http.Response, string) {
			return post(t, srv.Direct(), "/v1/images/generations", fmt.Sprintf(`{"model":"dall-e-2","prompt":"x","n":%d}`, n))
		}
		image(4)
		resp, body := image(2)
		if resp.StatusCode != 429 {
			t.Errorf("status %d", resp.StatusCode)
		}
		contains(t, body, "on images per min (IPM): Limit 5, Used 4, Requested 2. Please try again in 12s.", `"type":"requests"`)
		time.Sleep(12 * time.Second)
		if resp, _ := image(2); resp.StatusCode != 200 {
			t.Errorf("status %d after the wait", resp.StatusCode)
		}
		if _, body := image(6); !strings.Contains(body, "Request too large") {
			t.Error(body)
		}
	})
}

// What throttles a call names the wait after which it fits, exactly.
func TestRetryAfterSuffices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{RPM: 7, TPM: 999}), WithAccountLimits(Limits{TPD: 100_000}))
		for i := range 200 {
			resp, body := post(t, srv.Direct(), chatPath, chatOf("m", 10+i*i%900))
			if resp.StatusCode == 200 {
				continue
			}
			wait, err := time.ParseDuration(resp.Header.Get("retry-after-ms") + "ms")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			resp, again := post(t, srv.Direct(), chatPath, chatOf("m", 10+i*i%900))
			if resp.StatusCode != 200 {
				t.Fatalf("%s\nafter %v: %s", body, wait, again)
			}
		}
	})
}

func TestScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(
			WithLimits("", Limits{RPM: 2}),
			WithLimits("own", Limits{RPM: 10}),
			WithShared("family", Limits{RPM: 3}, "a", "b"),
			WithAccountLimits(Limits{RPM: 20}),
		)
		status := func(model string) int {
			resp, _ := post(t, srv.Direct(), chatPath, chatOf(model, 10))
			return resp.StatusCode
		}
		for i, c := range []struct {
			model string
			want  int
		}{
			{"x", 200}, {"x", 200}, {"x", 429}, {"y", 200}, // each other model has its own
			{"a", 200}, {"b", 200}, {"a", 200}, {"b", 429}, // a family shares
			{"own", 200},
		} {
			if got := status(c.model); got != c.want {
				t.Errorf("call %d, %s: %d, want %d", i, c.model, got, c.want)
			}
		}
		account := srv.Account("b")
		var names []string
		for _, b := range account.Buckets {
			names = append(names, b.Name)
		}
		if got := strings.Join(names, " "); got != "family account" {
			t.Errorf("b draws from %q", got)
		}
		if b := account.Bucket(RPM); b.Charged != 3 || b.Throttles != 1 {
			t.Errorf("the family's bucket: %+v", b)
		}
		// 7 admitted, and two throttled ones, for which the account had room
		if b := account.Buckets[1]; b.Charged != 7 || b.ThrottledCharge != 2 || b.Used != 9 {
			t.Errorf("the account's bucket: %+v", b)
		}
	})
}

func TestMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{RPM: 10, TPM: 1000}), WithLimits("", Limits{RPM: 10}))
		for _, c := range []struct {
			path, body string
			status     int
			message    string
		}{
			{chatPath, `{`, 400, "could not parse"},
			{chatPath, `{"messages":[]}`, 400, "you must provide a model parameter"},
			{chatPath, `{"model":"m","n":1000}`, 400, "out of range"},
			{chatPath, `{"model":"m","max_tokens":-1}`, 400, "out of range"},
			{"/v1/chat/completion", `{"model":"m"}`, 404, "Invalid URL (POST /v1/chat/completion)"},
		} {
			resp, body := post(t, srv.Direct(), c.path, c.body)
			if resp.StatusCode != c.status {
				t.Errorf("%s: %d, want %d", c.body, resp.StatusCode, c.status)
			}
			contains(t, body, c.message)
		}
		srv.Spend("m", Cost{Requests: 3})
		a := srv.Account("m")
		if a.Seen != 2 || a.Rejected != 2 || a.Bucket(RPM).ThrottledCharge != 2 || a.Bucket(RPM).Net() != 5 || a.Bucket(TPM).Net() != 0 {
			t.Errorf("%+v", a)
		}
	})
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		path, endpoint, deployment string
	}{
		{"/v1/chat/completions", "chat/completions", ""},
		{"/chat/completions", "chat/completions", ""},
		{"/v1/completions", "completions", ""},
		{"/api/v1/responses", "responses", ""},
		{"/openai/v1/responses/compact", "responses/compact", ""},
		{"/v1/responses/input_tokens", "responses/input_tokens", ""},
		{"/openai/deployments/my%2Fgpt/chat/completions", "chat/completions", "my/gpt"},
		{"/openai/deployments/gpt-4o/audio/speech", "audio/speech", "gpt-4o"},
		{"/v1/decisions/", "decisions", ""},
		{"/v1/agents/sessions", agentSessions, ""},
		{"/v1/agents/sessions/sess_1/events", agentEvents, ""},
		{"/v1/agents/sessions/a%2Fb/events", agentEvents, ""},
		{"/v1/agents/automations/auto_1/invocations", agentInvocations, ""},
		{"/v1/agents/sessions//events", "", ""},
		{"/v1/agents/sessions/events", "", ""},
		{"/v1/agents/sessions/sess_1/cancel", "", ""},
		{"/v1/threads/agents/automations", "", ""},
		{"/v1/xcompletions", "", ""},
		{"/v1/responses/resp_1/cancel", "", ""},
		{"/v1/files", "", ""},
	} {
		r, err := http.NewRequest(http.MethodPost, "http://api.test"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		endpoint, deployment, ok := route(r.URL)
		if endpoint != c.endpoint || deployment != c.deployment || ok != (c.endpoint != "") {
			t.Errorf("%s: %q, %q, %v", c.path, endpoint, deployment, ok)
		}
	}
}

func TestNotLimited(t *testing.T) {
	srv := New(WithLimits("", Limits{RPM: 1}))
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		for range 3 {
			req, err := http.NewRequest(method, "http://api.test/v1/models", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Direct().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%s: %d", method, resp.StatusCode)
			}
		}
	}
}
