package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A witness notes what the hooks of one call say.
type witness struct {
	paused  []ratelimiter.PausedInfo
	settled []ratelimiter.SettledInfo
}

func (w *witness) trace() *ratelimiter.Trace {
	return &ratelimiter.Trace{
		Paused:  func(_ context.Context, i ratelimiter.PausedInfo) { w.paused = append(w.paused, i) },
		Settled: func(_ context.Context, i ratelimiter.SettledInfo) { w.settled = append(w.settled, i) },
	}
}

// respond sends one request over a socket to a server that answers with h, reads the
// response and closes it.
func respond(t *testing.T, h http.HandlerFunc, body string, options ...ratelimiter.Option) (*witness, *ratelimiter.Limiter, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	w := &witness{}
	l := newLimiter(t, append(options, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(w.trace()))...)
	base := srv.Client().Transport.(*http.Transport)
	client := l.Client(base)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req := newRequest(t, t.Context(), srv.URL+"/v1/chat/completions", strings.NewReader(body))
	req.Header.Set("Accept-Encoding", "identity") // net/http decodes nothing
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	base.CloseIdleConnections()
	if len(w.settled) != 1 {
		t.Fatalf("settled %d times", len(w.settled))
	}
	return w, l, string(got)
}

func says(status int, headers, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for line := range strings.Lines(headers) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Refusals in all the forms that have been seen: how long they pause, and what they are.
func TestThrottlesPause(t *testing.T) {
	const quota = `{"error":{"message":"%s","type":"%s","code":"%s"}}`
	for _, c := range []struct {
		name    string
		status  int
		headers string
		body    string
		kind    string
		pause   time.Duration
	}{
		{"without a body", 429, "Retry-After: 12", "", "rate_limit", 12 * time.Second},
		{"without a body, in milliseconds", 429, "Retry-After-Ms: 1500", "", "rate_limit", 1500 * time.Millisecond},
		{"without anything", 429, "", "", "rate_limit", time.Second},
		{"for days", 429, "Retry-After: 411480", "", "rate_limit", 10 * time.Minute},
		{"for ever", 429, "Retry-After: 99999999999999999999", "", "rate_limit", 10 * time.Minute},
		{"for days, in words", 429, "", fmt.Sprintf(quota, "Please try again in 114h18m0s.", "tokens", "rate_limit_exceeded"), "rate_limit", 10 * time.Minute},
		{"in words", 429, "Retry-After: 1", fmt.Sprintf(quota, "Please try again after 51.84 seconds.", "", ""), "rate_limit", 51840 * time.Millisecond},
		{"in words, of a page", 429, "Content-Type: text/html", "<html>Too many requests. Try again in 9 seconds.</html>", "rate_limit", time.Second},
		{"as an event", 429, "Content-Type: text/event-stream", "event: error\r\ndata: {\"error\":\r\ndata: {\"message\":\"Retry in 9s\"}}\r\n\r\n", "rate_limit", 9 * time.Second},
		{"said to be compressed, and empty", 429, "Content-Encoding: gzip\nRetry-After: 12", "", "rate_limit", 12 * time.Second},
		{"in a coding nobody knows", 429, "Content-Encoding: br\nRetry-After: 12", "\x1b\x00", "rate_limit", 12 * time.Second},
		{"a title and a message", 429, "", `{"statusCode":429,"error":"Too Many Requests","message":"Rate limit exceeded, retry in 20s"}`, "rate_limit", 20 * time.Second},
		{"Bedrock's, as a 400", 400, "Retry-After: 4", fmt.Sprintf(quota, "Too many tokens, please wait before trying again.", "ThrottlingException", ""), "rate_limit", 4 * time.Second},
		{"Google's load", 429, "Retry-After: 3", `{"error":{"code":429,"message":"No capacity available for model m on the server","status":"RESOURCE_EXHAUSTED"}}`, "overloaded", 3 * time.Second},
		{"a model that loads", 503, "", `{"error":"Model m is currently loading","estimated_time":20}`, "overloaded", 20 * time.Second},
		{"LiteLLM's budget", 400, "", fmt.Sprintf(quota, "Budget has been exceeded!", "budget_exceeded", "400"), "quota", 0},
		{"a suspended account", 412, "", fmt.Sprintf(quota, "Account is suspended, possibly due to reaching the monthly spending limit", "", ""), "quota", 0},
		{"overloaded", 503, "Retry-After: 20", fmt.Sprintf(quota, "Busy", "service_unavailable_error", "server_is_overloaded"), "overloaded", 20 * time.Second},
		{"overloaded, without a body", 529, "Retry-After: 7", "", "overloaded", 7 * time.Second},
		{"overloaded, without a wait", 503, "", fmt.Sprintf(quota, "Busy", "service_unavailable_error", "server_is_overloaded"), "overloaded", 0},
		{"engine overloaded", 429, "Retry-After: 3", fmt.Sprintf(quota, "The engine is currently overloaded", "requests", ""), "overloaded", 3 * time.Second},
		{"spend limit", 429, "Retry-After: 3", fmt.Sprintf(quota, "", "", "project_spend_limit_exceeded"), "quota", 0},
		{"Gemini's minute", 429, "", `[{"error":{"code":429,"message":"You exceeded your current quota","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel","quotaValue":"10"}]},{"retryDelay":"46s"}]}}]`, "rate_limit", 46 * time.Second},
		{"in ISO 8601", 429, "Retry-After: PT9S", "", "rate_limit", 9 * time.Second},
		{"Alibaba's tokens, in the words of money", 429, "", fmt.Sprintf(quota, "You exceeded your current quota. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit", "insufficient_quota", "insufficient_quota"), "rate_limit", time.Second},
		{"Gemini, nothing prepaid", 429, "", `[{"error":{"code":429,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}]`, "quota", 0},
		{"422", 422, "", fmt.Sprintf(quota, "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9120", "tokens", "rate_limit_exceeded"), "too_large", 0},
		{"a bill, as a 401", 401, "", fmt.Sprintf(quota, "Your account is not active", "billing_not_active", "billing_not_active"), "quota", 0},
		{"413", 413, "", fmt.Sprintf(quota, "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9120, please reduce", "tokens", "rate_limit_exceeded"), "too_large", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, body := respond(t, says(c.status, c.headers, c.body), chatBody("m", 100, false))
			if len(w.paused) != 1 || w.paused[0].Kind != c.kind || w.paused[0].For != c.pause || body != c.body {
				t.Errorf("%+v, %q; want %s for %v", w.paused, body, c.kind, c.pause)
			}
		})
	}
}

// A pause that is said without a body holds the next call back.
func TestPauseWithoutABody(t *testing.T) {
	_, l, _ := respond(t, says(429, "Retry-After: 12", ""), chatBody("m", 100, false))
	ctx := ratelimiter.ContextWithMaxWait(t.Context(), 0)
	if _, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 1}); err == nil {
		t.Error("the next call starts at once")
	}
}

// What the server has no capacity for pauses the model as a throttle does, and no other model.
func TestPausesOfTheModel(t *testing.T) {
	const overloaded = `{"error":{"message":"The engine is currently overloaded, please try again later","code":"server_is_overloaded"}}`
	for name, handler := range map[string]http.HandlerFunc{
		"429": says(429, "Retry-After: 12", `{"error":{"message":"The engine is currently overloaded, please try again later","type":"requests"}}`),
		"503": says(503, "Retry-After: 12", overloaded),
		"529": says(529, "Retry-After: 12", `{"error":{"type":"overloaded_error","message":"Overloaded"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, l, _ := respond(t, handler, chatBody("m", 100, false))
			ctx := ratelimiter.ContextWithMaxWait(t.Context(), 0)
			if _, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 1}); err == nil {
				t.Error("the model's next call starts at once")
			}
			r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "other", Tokens: 1})
			if err != nil {
				t.Fatalf("another model's call: %v", err)
			}
			r.Cancel()
		})
	}
}

// Where the server has generated nothing, it has charged no tokens.
func TestTokensComeBack(t *testing.T) {
	for status, back := range map[int]bool{
		300: true, 302: true, 304: true, 307: true, 308: true,
		400: true, 401: true, 402: true, 403: true, 404: true, 405: true, 406: true, 407: true, 408: true, 409: true, 410: true,
		413: true, 415: true, 421: true, 422: true, 423: true, 424: true, 429: true, 431: true, 451: true, 498: true,
		444: false, 499: false, 500: false, 502: false, 503: false, 529: false, 204: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w, _, _ := respond(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}, chatBody("m", 5000, false))
			charged, final := w.settled[0].Charged, w.settled[0].Final
			want := charged.Tokens
			if back {
				want = 0
			}
			if final.Tokens != want || final.Requests != 1 || charged.Tokens < 5000 {
				t.Errorf("%+v of %+v stays", final, charged)
			}
		})
	}
}

// What the last answer of an engine that is overloaded says teaches no limit.
func TestOverloadTeachesNothing(t *testing.T) {
	body := `{"error":{"message":"Engine is overloaded. Retry in 1s","type":"requests","code":"rate_limit_exceeded"}}`
	_, l, _ := respond(t, says(429, "", body), chatBody("m", 1, false), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000}))
	for name := range limitsOf(t, l, "m") {
		if name != "rpm" {
			t.Errorf("it has learned %s", name)
		}
	}
}

// Of a 413 the limit is learned as of a 429.
func TestRequestTooLargeOf413(t *testing.T) {
	body := `{"error":{"message":"Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9120","type":"tokens","code":"rate_limit_exceeded"}}`
	_, l, _ := respond(t, says(413, "", body), chatBody("m", 9000, false))
	if tpm := limitsOf(t, l, "m")["tpm"]; tpm.Limit != 6000 {
		t.Errorf("%+v", tpm)
	}
}

// A stream whose errors and usage come in pieces, and from models by other names.
func TestStreamsSettle(t *testing.T) {
	events := func(events ...string) string {
		var b strings.Builder
		for _, e := range events {
			b.WriteString("data: " + e + "\n\n")
		}
		return b.String()
	}
	const (
		rate  = `{"error":{"message":"Please retry after 5 seconds","type":"tokens","code":"rate_limit_exceeded"}}`
		delta = `{"model":"gpt-4o","choices":[{"delta":{"content":"Hello"}}]}`
		role  = `{"choices":[{"delta":{"role":"assistant","content":""}}]}`
		usage = `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`
		none  = int64(0)
	)
	const all = int64(-1)
	for _, c := range []struct {
		name, model, body string
		tokens            int64
		kind              string
	}{
		{"rate error", "m", events(rate), none, "rate_limit"},
		{"rate error behind an empty delta", "m", events(role, rate, "[DONE]"), none, "rate_limit"},
		{"rate error as an event", "m", "event: error\n" + events(`{"type":"error","code":"rate_limit_exceeded","message":"Slow"}`), none, "rate_limit"},
		{"response.failed", "m", events(`{"type":"response.created","response":{"id":"r"}}`, `{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Wait"}}}`), none, "rate_limit"},
		{"response.failed, and why in an event of its own", "m", events(`{"type":"response.failed","response":{"error":null,"output":[],"usage":null}}`, `{"type":"error","error":{"type":"too_many_requests","code":"rate_limit_exceeded","message":"Wait"}}`), none, "rate_limit"},
		{"response.failed, nobody says why", "m", events(`{"type":"response.failed","response":{"error":null,"usage":null}}`), all, ""},
		{"rate error in a text", "m", "event: error\ndata: Rate limit exceeded\n\n", none, "rate_limit"},
		{"rate error within an error", "m", events(`{"error":{"error":{"message":"Wait","code":"rate_limit_exceeded"}}}`), none, "rate_limit"},
		{"no rate limits", "m", `{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Wait"}}`, none, "rate_limit"},
		{"no rate limits, and no error either", "m", `{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit exceeded(RPM)"}}`, none, "rate_limit"},
		{"money", "m", events(`{"error":{"code":"insufficient_quota"}}`), none, "quota"},
		{"rate error of a choice", "m", events(`{"choices":[{"index":0,"error":{"code":429,"message":"Rate"},"delta":{"content":""},"finish_reason":"error"}]}`, "[DONE]"), none, "rate_limit"},
		{"rate error at the top", "m", events(role, `{"object":"error","message":"Rate limit exceeded","type":"rate_limited","code":"1300"}`), none, "rate_limit"},
		{"rate error in words", "m", ": OPENROUTER PROCESSING\r\n\r\n" + events(`{"error":{"message":"Too many requests, please wait before trying again."}}`), none, "rate_limit"},
		{"rate error in several lines", "m", "event: error\r\ndata: {\"error\":\r\ndata: {\"type\":\"throttling_exception\"}}\r\n\r\n", none, "rate_limit"},
		{"rate error behind output", "m", events(delta, rate), all, "rate_limit"},
		{"rate error behind output, and usage", "m", events(delta, rate, usage, "[DONE]"), 15, "rate_limit"},
		{"overload", "m", events(`{"error":{"code":"server_is_overloaded"}}`), all, "overloaded"},
		{"failure", "m", events(`{"error":{"message":"Oops","type":"server_error"}}`), all, "other"},
		{"failure, then usage", "m", events(`{"error":{"message":"Oops","type":"server_error"}}`, usage, "[DONE]"), 15, "other"},
		{"empty error", "m", events(`{"error":{},"choices":[]}`, usage, "[DONE]"), 15, ""},
		{"usage in two chunks", "m", events(`{"usage":{"prompt_tokens":12,"total_tokens":12}}`, `{"usage":{"completion_tokens":3}}`, "[DONE]"), 15, ""},
		{"usage without the output that was shown", "m", events(delta, `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":0,"total_tokens":12}}`, "[DONE]"), 13, ""},
		{"usage without the output that was shown before and behind it", "m", events(delta, `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":0,"total_tokens":12}}`, delta, "[DONE]"), 14, ""},
		{"usage, and text behind it", "m", events(usage, delta, "[DONE]"), 15, ""},
		{"usage of the input first", "m", events(`{"choices":[],"usage":{"prompt_tokens":12,"total_tokens":12}}`, delta, "[DONE]"), 13, ""},
		{"rate error behind audio", "m", events(`{"choices":[{"delta":{"audio":{"data":"QQ=="}}}]}`, rate), all, "rate_limit"},
		{"rate error behind an image", "m", events(`{"choices":[{"delta":{"content":"","images":[{"type":"image_url"}]}}]}`, rate), all, "rate_limit"},
		{"rate error behind parts", "m", events(`{"choices":[{"delta":{"content":[{"type":"text","text":"Hello"}]}}]}`, rate), all, "rate_limit"},
		{"parts", "m", events(`{"choices":[{"delta":{"content":[{"type":"text","text":"Hello"}]}}]}`, "[DONE]"), 13, ""},
		{"text", "m", events(delta, "[DONE]"), 13, ""},
		{"text of a model that reasons", "gpt-5-mini", events(delta, "[DONE]"), all, ""},
		{"with a suffix", "gpt-5-mini@eu", events(delta, "[DONE]"), all, ""},
		{"Gemini, which thinks unseen", "google/gemini-2.5-pro", events(delta, "[DONE]"), all, ""},
		{"Gemini's newest, whichever it is", "gemini-flash-latest", events(delta, "[DONE]"), all, ""},
		{"behind a prefix", "openai/gpt-5-mini", events(delta, "[DONE]"), all, ""},
		{"behind a deployment's name", "my-gpt-5-deployment", events(delta, "[DONE]"), all, ""},
		{"behind any name", "prod", events(strings.Replace(delta, "gpt-4o", "gpt-5-mini-2025-08-07", 1), "[DONE]"), all, ""},
		{"behind any name, in a response", "prod", events(`{"type":"response.created","response":{"model":"o3","id":"r"}}`, `{"type":"response.output_text.delta","delta":"Hello"}`, "[DONE]"), all, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, _ := respond(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, c.body)
			}, chatBody(c.model, 5000, true))
			want := c.tokens
			if want == all {
				want = w.settled[0].Charged.Tokens
			}
			if got := w.settled[0].Final; got.Tokens != want || got.Requests != 1 {
				t.Errorf("%+v stays of %+v; want %d tokens", got, w.settled[0].Charged, want)
			}
			kind := ""
			if len(w.paused) > 0 {
				kind = w.paused[0].Kind
			}
			if kind != c.kind || len(w.paused) > 1 {
				t.Errorf("%+v; want %q", w.paused, c.kind)
			}
		})
	}
}

// What a stream says of its usage before it is cut is not the usage of what came behind it.
func TestCutStreams(t *testing.T) {
	const (
		input = `{"type":"message_start","message":{"usage":{"input_tokens":12,"output_tokens":1}}}`
		delta = `{"choices":[{"delta":{"content":"Hello"}}],"usage":null}`
		part  = `{"choices":[{"delta":{"content":"Hello"}}],"usage":{"prompt_tokens":12,"completion_tokens":1,"total_tokens":13}}`
		last  = `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`
	)
	for _, c := range []struct {
		name   string
		events []string
		tokens int64 // 0: all
		output int64
	}{
		{"usage of the input, and text", []string{input, delta}, 0, 2},
		{"usage of the input alone", []string{input}, 13, 1},
		{"usage that goes along", []string{part}, 13, 1},
		{"text, then its usage", []string{input, delta, last}, 15, 3},
		{"text behind its usage", []string{last, delta}, 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w := io.Pipe()
			var seen witness
			resp, err := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(seen.trace())).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
				return response(200, "text/event-stream", r), nil
			})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 5000, true))))
			if err != nil {
				t.Fatal(err)
			}
			sent := "data: " + strings.Join(c.events, "\n\ndata: ") + "\n\n"
			go io.WriteString(w, sent)
			if _, err := io.ReadFull(resp.Body, make([]byte, len(sent))); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := c.tokens
			if want == 0 {
				want = seen.settled[0].Charged.Tokens
			}
			if got := seen.settled[0].Final.Tokens; got != want {
				t.Errorf("%d of %d tokens stay; want %d", got, seen.settled[0].Charged.Tokens, want)
			}
			if got := seen.settled[0].Usage.OutputTokens; got != c.output {
				t.Errorf("%d tokens of output; want %d", got, c.output)
			}
		})
	}
}

// An error in a stream that goes on is told when it comes, and once.
func TestErrorInAStreamIsReportedAtOnce(t *testing.T) {
	r, w := io.Pipe()
	var seen witness
	resp, err := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(seen.trace())).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return response(200, "text/event-stream", r), nil
	})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 100, true))))
	if err != nil {
		t.Fatal(err)
	}
	const delta = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
	for _, piece := range []string{delta + "data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Retry in 9s\"}}\n\n", delta} {
		go io.WriteString(w, piece)
		if _, err := resp.Body.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		if len(seen.paused) != 1 || seen.paused[0].For != 9*time.Second || len(seen.settled) != 0 {
			t.Errorf("%+v", seen)
		}
	}
	resp.Body.Close()
	if len(seen.paused) != 1 || len(seen.settled) != 1 {
		t.Errorf("%+v", seen)
	}
}
