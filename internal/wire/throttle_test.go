package wire

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseRefusal(t *testing.T) {
	body := func(message, typ, code string) string {
		return `{"error":{"message":"` + message + `","type":"` + typ + `","param":null,"code":"` + code + `"}}`
	}
	const ms = time.Millisecond
	type figures struct {
		kind                   Kind
		dimension              Dimension
		period                 time.Duration
		limit, used, requested int64
		retryAfter             time.Duration
	}
	for _, c := range []struct {
		name    string
		status  int
		headers string
		body    string
		want    figures
	}{
		{"TPM", 429, "", body("Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29446, Requested 821. Please try again in 534ms. Visit https://platform.openai.com/account/rate-limits to learn more.", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, minute, 30000, 29446, 821, 534 * ms}},
		{"TPM, fractional", 429, "", body("… on tokens per min (TPM): Limit 10000, Used 8554, Requested 3082. Please try again in 9.816s. Visit", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, minute, 10000, 8554, 3082, 9816 * ms}},
		{"RPD", 429, "", body("… on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s. Visit", "requests", "rate_limit_exceeded"),
			figures{RateLimit, Requests, day, 200, 200, 1, 432 * time.Second}},
		{"IPM", 429, "", body("… on images per min (IPM): Limit 5, Used 5, Requested 1. Please try again in 12s.", "requests", "rate_limit_exceeded"),
			figures{RateLimit, Images, minute, 5, 5, 1, 12 * time.Second}},
		{"too large", 429, "", body("Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced in order to run successfully.", "tokens", "rate_limit_exceeded"),
			figures{TooLarge, Tokens, minute, 30000, -1, 31538, 0}},
		{"old", 429, "", body("Rate limit reached for default-gpt-3.5-turbo in organization org-1 on requests per min. Limit: 3 / min. Please try again in 20s.", "requests", ""),
			figures{RateLimit, Requests, minute, 3, -1, -1, 20 * time.Second}},
		{"old, commas", 429, "", body("… on tokens per min. Limit: 40,000 / min. Current: 79,450 / min, see", "tokens", ""),
			figures{RateLimit, Tokens, minute, 40000, 79450, -1, 0}},
		{"DALL-E", 429, "", body("Rate limit exceeded for images per minute in organization org-1. Limit: 5/1min. Current: 6/1min.", "requests", "rate_limit_exceeded"),
			figures{RateLimit, Images, minute, 5, 6, -1, 0}},
		{"DALL-E, none allowed", 429, "", body("Rate limit exceeded for images per minute in organization org-1. Limit: 0/1min. Current: 1/1min.", "requests", "rate_limit_exceeded"),
			figures{TooLarge, Images, minute, 0, 1, -1, 0}},
		{"header beats message", 429, "retry-after: 1\nretry-after-ms: 534", body("Please try again in 20s.", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, 0, -1, -1, -1, 534 * ms}},
		{"message beats seconds", 429, "retry-after: 1", body("Please try again in 534ms.", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, 0, -1, -1, -1, 534 * ms}},
		{"azure", 429, "retry-after: 1\nretry-after-ms: 0\nx-ratelimit-type: Tokens", `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2023-05-15 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 37 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}`,
			figures{RateLimit, Tokens, 0, -1, -1, -1, 37 * time.Second}},
		{"azure, numeric code", 429, "retry-after: 1", `{"error":{"code":429,"message":"… have exceeded call rate limit of your current OpenAI S0 pricing tier."}}`,
			figures{RateLimit, Requests, 0, -1, -1, -1, time.Second}},
		{"azure, header alone", 429, "retry-after: 3\nretry-after-ms: 0\nx-ratelimit-type: Requests", "",
			figures{RateLimit, Requests, 0, -1, -1, -1, 3 * time.Second}},
		{"gateway", 429, "", `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 2 minutes."}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 2 * time.Minute}},
		{"quota", 429, "", body("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota"),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"quota without code", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"credit", 429, "", body("", "", "credit_balance_exhausted"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"billing", 400, "", body("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"402", 402, "", "", figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"slow down", 429, "retry-after: 5", body("", "rate_limit_error", "slow_down"), figures{SlowDown, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"slow down, formerly", 503, "", body("Slow Down", "slow_down", ""), figures{SlowDown, Unknown, 0, -1, -1, -1, 0}},
		{"flex", 429, "", body("", "", "resource_unavailable"), figures{Unavailable, Unknown, 0, -1, -1, -1, 0}},
		{"400", 400, "", body("This model's maximum context length is 8192 tokens", "invalid_request_error", "context_length_exceeded"),
			figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"500", 500, "", "oops", figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"bare 429", 429, "", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"absurd wait", 429, "retry-after: 1e12", body("Please retry after 99999 hours.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"cut", 429, "", body("… on tokens per min (TPM): Limit 10000, Used 8554, Requ", "", "")[:70], figures{RateLimit, Tokens, minute, 10000, -1, -1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ParseThrottle(c.status, headers(c.headers), []byte(c.body))
			got := figures{r.Kind, r.Dimension, r.Period, r.Limit, r.Used, r.Requested, r.RetryAfter}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRefusalKeepsWords(t *testing.T) {
	r := ParseThrottle(429, nil, []byte(`{"error":{"code":"c","type":"t","message":"`+strings.Repeat("word ", 4000)+`"}}`))
	if r.Code != "c" || r.Type != "t" || r.Message != strings.TrimSpace(strings.Repeat("word ", bufferSize/5)) {
		t.Errorf("%q, %q, message of %d bytes", r.Code, r.Type, len(r.Message))
	}
}

// FuzzRefusal: whatever is sent, what was understood is sane.
func FuzzRefusal(f *testing.F) {
	f.Add(429, "534", "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29446, Requested 821. Please try again in 534ms.")
	f.Add(503, "", "Limit: 0/1min. Current: 1/1min. Please retry after 37 seconds.")
	f.Add(200, "-1", `Try again in 1e17 days. Limit 99,999,999,999,999,999,999 \ud83d`)
	f.Fuzz(func(t *testing.T, status int, ms, message string) {
		h := http.Header{"Retry-After-Ms": {ms}}
		for _, body := range []string{message, `{"error":{"message":"` + message + `"}}`, `{"error":{"message":"` + message} {
			r := ParseThrottle(status, h, []byte(body))
			if r.RetryAfter < 0 || r.RetryAfter > maxWait || r.Kind > Unavailable || r.Dimension > Images || len(r.Message) > bufferSize ||
				min(r.Limit, r.Used, r.Requested) < -1 || max(r.Limit, r.Used, r.Requested) > maxCount {
				t.Errorf("%q: %+v", body, r)
			}
		}
	})
}

func TestStood(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		limit, used, requested int64
		wait, period           time.Duration
		want                   float64
	}{
		{"captured", 10_000, 8_554, 3_082, 9816 * time.Millisecond, minute, 8_554},
		{"rounded up", 20, 20, 1, 20 * time.Millisecond, minute, 19 + 0.02/3},
		{"rounded down", 20, 19, 1, 20 * time.Millisecond, minute, 19 + 0.02/3},
		{"a day's", 200, 200, 1, 432 * time.Second, day, 200},
		{"no wait", 20, 20, 1, 0, minute, 20},
		{"whole seconds", 30_000, 29_446, 821, time.Second, minute, 29_446},
		{"nothing said of the request", 20, 20, -1, 3 * time.Second, minute, 20},
		{"another limit's wait", 20, 20, 1, time.Hour, minute, 20},
	} {
		r := Throttle{Limit: tt.limit, Used: tt.used, Requested: tt.requested, RetryAfter: tt.wait}
		if got := r.Stood(tt.period); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
