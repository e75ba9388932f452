package wire

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseThrottle(t *testing.T) {
	body := func(message, typ, code string) string {
		return `{"error":{"message":"` + message + `","type":"` + typ + `","param":null,"code":"` + code + `"}}`
	}
	gemini := func(delay, violations string) string {
		return `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[` +
			`{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[` + violations + `]},` +
			`{"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"Learn more","url":"https://x"}]},` +
			`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"` + delay + `"}]}}`
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
		{"project's spend", 429, "retry-after: 9", body("", "", "project_spend_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 9 * time.Second}},
		{"organization's spend", 429, "", body("", "organization_spend_limit_exceeded", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"organization's usage", 429, "", body("Usage", "rate_limit_error", "organization_usage_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"usage", 403, "", body("", "rate_limit_exceeded", "usage_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"spend, in the type", 429, "", body("", "project_spend_limit_exceeded", "rate_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"session's budget", 429, "", body("", "", "session_budget_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"billing not active", 429, "", body("Your account is not active", "", "billing_not_active"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no credits, in the code", 429, "", body("", "", "out_of_credits"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no credits, in the type", 429, "", body("", "NoCreditsError", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"credits for bursts", 429, "", body("Burst credits exhausted, retry in 2s", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 2 * time.Second}},
		{"no rate, where something remains", 403, "x-ratelimit-remaining: 59\nx-ratelimit-reset-after: 30", body("no access to this model", "", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"a limit on credits", 429, "", body("", "", "credit_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"another's spend", 429, "", body("", "", "TEAM_SPEND_LIMIT_EXCEEDED"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's credits", 402, "", `{"error":{"code":402,"message":"Insufficient credits"}}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},

		{"images, in words", 429, "", body("Rate limit reached for images. Please try again after 51.84 seconds.", "requests", "rate_limit_exceeded"),
			figures{RateLimit, Requests, 0, -1, -1, -1, 51840 * ms}},
		{"minutes and seconds", 429, "", body("Please try again in 7 minutes and 12 seconds.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 432 * time.Second}},
		{"days", 429, "", body("Please try again in 114h18m0s.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 411480 * time.Second}},
		{"days, in the header", 429, "retry-after: 411480", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 411480 * time.Second}},
		{"a member of the body", 429, "", `{"error":{"message":"Rate limit","retry_after":27}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 27 * time.Second}},
		{"in detail", 429, "", `{"detail":"Rate limit exceeded. Retry in 27s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 27 * time.Second}},
		{"Groq's, in words", 429, "retry-after: 432", body("Rate limit reached for model `m` in organization `org_1` on tokens per day (TPD): Limit 100000, Used 99336, Requested 1164. Please try again in 7m12s. Need more tokens?", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, day, 100_000, 99_336, 1164, 432 * time.Second}},
		{"no body", 429, "retry-after: 12", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 12 * time.Second}},

		{"413", 413, "", body("Request too large for model `m` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 9120, please reduce your message size and try again. Need more tokens?", "tokens", "rate_limit_exceeded"),
			figures{TooLarge, Tokens, minute, 6000, -1, 9120, 0}},
		{"413 of what fits", 413, "", body("Rate limit reached on tokens per minute (TPM): Limit 6000, Used 5000, Requested 1200. Please try again in 2s", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, minute, 6000, 5000, 1200, 2 * time.Second}},
		{"figures as floats", 429, "", body("on tokens per min (TPM): Limit 1.5e+06, Used 1.4e+06, Requested 200000", "tokens", "rate_limit_exceeded"), figures{RateLimit, Tokens, minute, 1_500_000, 1_400_000, 200_000, 0}},
		{"figures that are rounded", 429, "", body("on tokens per min (TPM): Limit 30K, Used 29.4K, Requested 40K", "tokens", "rate_limit_exceeded"), figures{RateLimit, Tokens, minute, 30_000, -1, -1, 0}},
		{"a figure that is rounded, in millions", 429, "", body("You are limited to 1.5M tokens per minute", "", ""), figures{RateLimit, Tokens, minute, 1_500_000, -1, -1, 0}},
		{"a figure that is rounded, without end", 429, "", body("on tokens per min (TPM): Limit 99,999,999,999B", "", ""), figures{RateLimit, Tokens, minute, maxCount, -1, -1, 0}},
		{"figures with other separators", 429, "", body("on tokens per min (TPM): Limit 30\u00a0000, Used 29_446, Requested 8\u202f210", "", ""), figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"a figure with a space", 429, "", body("on tokens per min (TPM): Limit 30 000", "", ""), figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"figures as they are assigned", 429, "", body("on tokens per min (TPM): limit=30000, used=29446, requested=821", "", ""), figures{RateLimit, Tokens, minute, 30_000, 29_446, 821, 0}},
		{"a figure and its unit", 429, "", body("on requests per min: Limit 60rpm, used 59each", "", ""), figures{RateLimit, Requests, minute, 60, 59, -1, 0}},
		{"a bucket's name", 429, "", body("Rate limit reached for 10KTPM-200RPM in organization org-1 on tokens per min. Limit: 10000 / min. Please try again in 6ms.", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, minute, 10_000, -1, -1, 6 * ms}},
		{"0 left", 429, "", body("Rate limit: 0 requests remaining of 60. Retry in 20s", "", ""), figures{RateLimit, Unknown, 0, 0, -1, -1, 20 * time.Second}},
		{"413 of a proxy", 413, "", "<html>Request Entity Too Large</html>", figures{Other, Unknown, 0, -1, -1, -1, 0}},

		{"engine overloaded", 429, "", body("The engine is currently overloaded, please try again later", "requests", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"engine overloaded, by its code", 429, "retry-after: 3", body("Please wait", "requests", "engine_overloaded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 3 * time.Second}},
		{"engine overloaded, as a rate", 429, "", body("Engine overloaded. Retry in 27s", "requests", "rate_limit_exceeded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 27 * time.Second}},
		{"server is overloaded", 503, "retry-after: 20", body("Our servers are currently overloaded.", "service_unavailable_error", "server_is_overloaded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a busy server", 503, "", `{"error":{"message":"The server is overloaded or not ready yet.","type":"server_error"}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a model at capacity", 429, "", body("Model is at capacity, please wait 5s", "", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"spend, in words", 429, "", body("You have reached your monthly spend limit", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"529", 529, "retry-after: 7", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 7 * time.Second}},
		{"529, bare", 529, "retry-after: 7", "", figures{Overloaded, Unknown, 0, -1, -1, -1, 7 * time.Second}},
		{"503 with a wait", 503, "retry-after: 7", "<html>", figures{Overloaded, Unknown, 0, -1, -1, -1, 7 * time.Second}},
		{"503", 503, "", "<html>", figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"503 on a rate", 503, "retry-after: 7", body("", "tokens", "rate_limit_exceeded"), figures{RateLimit, Tokens, 0, -1, -1, -1, 7 * time.Second}},
		{"Azure's capacity", 429, "", body("The system is currently experiencing high demand and cannot process your request", "", "NoCapacity"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"an overload with figures", 429, "", body("The engine is overloaded on tokens per min (TPM): Limit 30000, Used 29446, Requested 821.", "tokens", "rate_limit_exceeded"),
			figures{RateLimit, Tokens, minute, 30000, 29446, 821, 0}},
		{"an overload, of what is not allowed", 429, "", body("High demand. Rate limit exceeded for images per minute. Limit: 0/1min. Current: 1/1min.", "requests", "rate_limit_exceeded"),
			figures{TooLarge, Images, minute, 0, 1, -1, 0}},
		{"Groq's flex", 498, "", body("Flex tier capacity exceeded", "", ""), figures{Unavailable, Unknown, 0, -1, -1, -1, 0}},

		{"Gemini, a minute", 429, "", gemini("46s", `{"quotaMetric":"g/requests","quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"model":"gemini-2.5-flash"},"quotaValue":"10"}`),
			figures{RateLimit, Requests, minute, 10, -1, -1, 46 * time.Second}},
		{"Gemini, in an array", 429, "", "[\n" + gemini("46s", `{"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier","quotaValue":"250000"}`) + "\n]",
			figures{RateLimit, Tokens, minute, 250_000, -1, -1, 46 * time.Second}},
		{"Gemini, a day", 429, "", gemini("55s", `{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel","quotaValue":"10"},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":250}`),
			figures{RateLimit, Requests, day, 250, -1, -1, 55 * time.Second}},
		{"Gemini, none allowed", 429, "", gemini("55s", `{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"0"}`),
			figures{TooLarge, Requests, day, 0, -1, -1, 55 * time.Second}},
		{"Gemini, the message alone", 429, "", `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 46.305192s.","status":"RESOURCE_EXHAUSTED"}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46305192 * time.Microsecond}},
		{"Gemini, the delay alone", 429, "", `[{"error":{"message":"You exceeded your current quota","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"55s"}]}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 55 * time.Second}},
		{"Gemini, a violation alone", 429, "", `[{"error":{"message":"You exceeded your current quota","details":[{"violations":[{"subject":"project:1","description":"d"}]}]}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, no wait", 429, "", `[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, the delay as an object", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":{"seconds":46,"nanos":0}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, the delay as an object, in snake case", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retry_delay":{"seconds":46}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, the delay as an object of strings", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":{"nanos":500000000,"seconds":"46"}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46500 * ms}},
		{"Gemini, nanoseconds alone", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":{"nanos":"500000000"}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 500 * ms}},
		{"Gemini, the delay as a number", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":46}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, the delay in snake case", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retry_delay":"46s"}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, two delays as objects", 429, "", `{"error":{"details":[{"retryDelay":{"seconds":46}},{"retryDelay":{"seconds":5}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"Gemini, an object that says nothing", 429, "", `{"error":{"message":"m","details":[{"retryDelay":{"seconds":-4,"nanos":null,"x":9}}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a wait as an object", 429, "", `{"error":{"message":"m","retry_after":{"seconds":46}}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"a wait as an object beside the error", 429, "", `{"error":{"message":"m"},"retry_after":{"seconds":46}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"an object that is no wait", 429, "", `{"error":{"message":"m","timeout":{"seconds":46}}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, the delay in a later error", 429, "", `[{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}},{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":"46s"}]}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, a wait in words in a later error", 429, "", `[{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}},
{"error":{"message":"Please retry in 46s"}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, a delay in the first error", 429, "", `[{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":"46s"}]}},{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","details":[{"retryDelay":"5s"}]}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, a later error that says no wait", 429, "", `[{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}},{"error":{"message":"Slow","code":"rate_limit_exceeded"}}]`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, an empty error first", 429, "", `[{},{"error":{"message":"Please retry in 46s"}}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"an array of messages", 429, "", `[{"message":"Please retry in 46s"},{}]`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"Gemini, an error behind the array", 429, "", `[{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}}] {"error":{"message":"Please retry in 46s"}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"two errors without an array", 429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}}{"error":{"message":"Please retry in 46s"}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, hostile", 429, "", `[{"error":{"details":[7,{"violations":{"quotaId":"x"},"retryDelay":[]},{"violations":[[],{"quotaId":7,"quotaValue":-1}]}]}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},

		{"Gemini, nothing prepaid", 429, "", `{"error":{"code":429,"message":"Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing.","status":"RESOURCE_EXHAUSTED"}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, a cap on what is spent", 429, "", `{"error":{"code":429,"message":"Your project has exceeded its monthly spending cap.","status":"RESOURCE_EXHAUSTED"}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},

		// What other hosts say.
		{"Together's", 429, "", body("You have been rate limited. Your rate limit is 60 queries per minute.", "credit_limit", ""), figures{RateLimit, Requests, minute, 60, -1, -1, 0}},
		{"Mistral's", 429, "", `{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Mistral's load", 429, "", `{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}`,
			figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Google's load", 429, "", `{"error":{"code":429,"message":"No capacity available for model gemini-3.1-flash-lite on the server","status":"RESOURCE_EXHAUSTED"}}`,
			figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Google's load, as a 503", 503, "", `{"error":{"code":503,"message":"No capacity available for model m on the server","status":"UNAVAILABLE"}}`,
			figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Bedrock's", 429, "", `{"message":"Too many tokens per day, please wait before trying again."}`, figures{RateLimit, Tokens, day, -1, -1, -1, 0}},
		{"Bedrock's, as a 400", 400, "", body("Too many tokens, please wait before trying again.", "ThrottlingException", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Moonshot's", 429, "", body("Your account org-e<ak-f> request reached organization max RPM: 3, please try again after 1 seconds", "rate_limit_reached_error", ""),
			figures{RateLimit, Requests, minute, 3, -1, -1, time.Second}},
		{"Moonshot's tokens", 429, "", body("request reached organization max TPM: 32000, please try again after 1 seconds", "rate_limit_reached_error", ""),
			figures{RateLimit, Tokens, minute, 32_000, -1, -1, time.Second}},
		{"Moonshot's, of a day", 429, "", body("Your account org-7 / proj-a <ak-f> request reached organization TPD rate limit, current: 1526210, limit: 1500000", "rate_limit_reached_error", ""),
			figures{RateLimit, Tokens, day, 1_500_000, 1_526_210, -1, 0}},
		{"Moonshot's calls in flight", 429, "", body("Your account org-e<ak-f> request reached max organization concurrency: 1, please try again after 1 seconds", "rate_limit_reached_error", ""),
			figures{RateLimit, Unknown, 0, -1, -1, -1, time.Second}},
		{"Moonshot's quota", 429, "", body("Your account org-7 is suspended, please check your plan and billing details", "exceeded_current_quota_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Cerebras's", 429, "", body("Tokens per minute limit exceeded - too many tokens processed.", "too_many_tokens_error", "token_quota_exceeded"), figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"Cerebras's, of a day", 429, "", body("Requests per day limit exceeded - too many requests sent.", "too_many_requests_error", "request_quota_exceeded"), figures{RateLimit, Requests, day, -1, -1, -1, 0}},
		{"Alibaba's tokens", 429, "", body("Allocated quota exceeded, please increase your quota limit.", "insufficient_quota", "insufficient_quota"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's tokens, in the words of money", 429, "", body("You exceeded your current quota, please check your plan and billing details. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit", "insufficient_quota", "insufficient_quota"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's bill", 429, "", body("The prepaid bill is overdue.", "PrepaidBillOverdue", "PrepaidBillOverdue"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's budget", 429, "", body("", "", "BudgetLimitExceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's free tier", 403, "", body("The free tier of the model has been exhausted.", "", "AllocationQuota.FreeTierOnly"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's load", 429, "", body("", "", "Throttling.ServiceOverloaded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's burst", 429, "", body("Request rate increased too quickly.", "limit_burst_rate", "limit_burst_rate"), figures{SlowDown, Unknown, 0, -1, -1, -1, 0}},
		{"Volcengine's", 429, "", body("The Requests Per Minute (RPM) limit of the associated endpoint has been exceeded.", "TooManyRequests", "RateLimitExceeded.EndpointRPMExceeded"),
			figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"Volcengine's free trial", 429, "", body("Your account has exhausted its free trial quota", "TooManyRequests", "QuotaExceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Databricks's", 429, "", `{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit for m."}`, figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"APISIX's tokens", 503, "x-ai-ratelimit-limit-m: 100\nx-ai-ratelimit-remaining-m: 0\nx-ai-ratelimit-reset-m: 23", `{"error_msg":"rejected"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 23 * time.Second}},
		{"GitHub's, used up", 403, "date: Tue, 24 Nov 2026 12:00:00 GMT\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1795521620", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"used up after a success", 200, "x-ratelimit-remaining: 0\nx-ratelimit-reset: 20", body("Too many requests", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"NVIDIA's", 429, "", `{"status":429,"title":"Too Many Requests"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Vertex's tokens", 429, "", `{"error":{"code":429,"message":"Quota exceeded for aiplatform.googleapis.com/online_prediction_tokens_per_minute_per_base_model with base model: m.","status":"RESOURCE_EXHAUSTED"}}`,
			figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"Vertex's budget", 429, "", `{"error":{"code":429,"message":"Your billing account has exceeded its budget.","status":"RESOURCE_EXHAUSTED"}}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Cohere's trial", 429, "", `{"message":"You are using a Trial key, which is limited to 40 API calls / minute. You can upgrade to a Production key with higher rate limits"}`,
			figures{RateLimit, Requests, minute, 40, -1, -1, 0}},
		{"Cohere's trial, of a month", 429, "", `{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Cohere's tokens", 429, "", `{"message":"trial token rate limit exceeded, limit is 100000 tokens per minute"}`, figures{RateLimit, Tokens, minute, 100_000, -1, -1, 0}},
		{"Mistral's month", 429, "", `{"message":"Monthly usage limit exceeded"}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's month, with its end", 429, "", body("Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-11-24 12:34:56", "", "1310"), figures{RateLimit, Unknown, 0, -1, -1, -1, 34*time.Minute + 56*time.Second}},
		{"APISIX's", 429, "", `{"message":"You reached the limit of 10 requests per 1 minutes"}`, figures{RateLimit, Requests, minute, 10, -1, -1, 0}},
		{"a limit of 60 seconds", 429, "", body("Limited to 10 requests every 60 seconds", "", ""), figures{RateLimit, Requests, minute, 10, -1, -1, 0}},
		{"a limit of 24 hours", 429, "", body("limited to 50 queries/24h", "", ""), figures{RateLimit, Requests, day, 50, -1, -1, 0}},
		{"a limit of an hour", 429, "", body("limited to 50 requests per hour", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"images a day", 429, "", body("The limit is 5 images a day", "", ""), figures{RateLimit, Images, day, 5, -1, -1, 0}},
		{"requests, each minute", 429, "", body("The limit of requests each minute is reached", "", ""), figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"GitHub's, of a user", 429, "", `{"error":{"code":"RateLimitReached","message":"Rate limit of 6 per 60s exceeded for UserByMinute. Please wait 3 seconds before retrying."}}`,
			figures{RateLimit, Requests, minute, 6, -1, -1, 3 * time.Second}},
		{"Moonshot's requests of a day", 429, "", body("request reached organization max RPD: 1500, please try again after 3600 seconds", "rate_limit_reached_error", ""),
			figures{RateLimit, Requests, day, 1500, -1, -1, time.Hour}},
		{"Moonshot's tokens of a day", 429, "", body("request reached organization max TPD: 1500000", "rate_limit_reached_error", ""), figures{RateLimit, Tokens, day, 1_500_000, -1, -1, 0}},
		{"Volcengine's burst", 429, "", body("Request frequency grows", "TooManyRequests", "RequestBurstTooFast"), figures{SlowDown, Unknown, 0, -1, -1, -1, 0}},
		{"Anthropic's growth", 429, "", body("This request would exceed your organization's maximum usage increase rate for input tokens per minute. Please scale up your input tokens usage more gradually.", "rate_limit_error", ""),
			figures{SlowDown, Tokens, minute, -1, -1, -1, 0}},
		{"MiniMax's tokens", 200, "", `{"base_resp":{"status_code":1039,"status_msg":"token limit exceeded(TPM)"}}`, figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"MiniMax's plan", 200, "", `{"base_resp":{"status_code":2056,"status_msg":"usage limit exceeded, 5-hour usage limit reached for Token Plan (1500/1500 used), resets at 2026-11-24T12:30:00Z"}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 30 * time.Minute}},
		{"a context's limit in a stream", 200, "", body("The context limit of 8192 tokens is exceeded", "", "context_length_exceeded"), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"what takes a minute in a stream", 200, "", body("Only 60 requests per minute are tried", "", ""), figures{Other, Requests, minute, -1, -1, -1, 0}},
		{"Z.AI's rate in a stream", 200, "", body("您的账户已达到速率限制，请您控制请求频率", "", "1302"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's calls in flight, in a stream", 200, "", body("您当前使用该API的并发数过高", "", "1302"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's bill", 429, "", body("您的账户已欠费，请充值后重试。", "", "1113"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"iFlytek's", 200, "", body("AppIdQpsOverFlowError:(11202)", "api_error", "11202"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a timeout that says how long it took", 503, "", body("Request timed out after waiting 60s", "", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"SiliconFlow's", 429, "", `{"message":"Request was rejected due to rate limiting. Details: TPM limit reached."}`, figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"MiniMax's", 200, "", `{"id":"x","choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit exceeded(RPM)"}}`, figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"MiniMax's balance", 200, "", `{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"MiniMax's load", 529, "", body("当前服务集群负载较高，请稍后重试 (2064)", "overloaded_error", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's load", 429, "", body("当前分组上游负载已饱和，请稍后再试", "upstream_error", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's tokens of its own", 403, "", body("token quota is not enough", "new_api_error", "pre_consume_token_quota_failed"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's balance", 429, "", body("余额不足或无可用资源包,请充值。", "", "1113"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"API Management's quota", 403, "", `{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 00:12:34."}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 12*time.Minute + 34*time.Second}},
		{"GitHub's", 403, "", `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a wait as a 403", 403, "retry-after: 30", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 30 * time.Second}},
		{"no access", 403, "", body("You do not have access to this model", "invalid_request_error", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"xAI's credits", 403, "", `{"code":"The caller does not have permission","error":"Your newly created teams doesn't have any credits yet."}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Anthropic's spend", 400, "", body("You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.", "invalid_request_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's provider", 429, "", `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"Rate limit reached on tokens per min (TPM): Limit 30000, Used 29446, Requested 821. Please try again in 534ms.\"}}","provider_name":"OpenAI"}},"user_id":"u"}`,
			figures{RateLimit, Tokens, minute, 30000, 29446, 821, 534 * ms}},
		{"OpenRouter's provider, which has failed", 200, "", `{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"upstream: 429 Too Many Requests"}}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's provider, which is away", 200, "", `{"error":{"message":"No provider is available, retry in 5s","code":503}}`,
			figures{Overloaded, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"OpenRouter's provider, at length", 429, "", `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"` + strings.Repeat("word ", bufferSize/5) + `retry in 5s"}}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's key", 403, "", `{"error":{"message":"Key limit exceeded (total limit).","code":403}}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's free models", 429, "", `{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","code":429}}`,
			figures{RateLimit, Requests, day, -1, -1, -1, 0}},
		{"LiteLLM's quota", 429, "", body("litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.", "throttling_error", "429"),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"LiteLLM's quota, quoted", 429, "", body("litellm.RateLimitError: OpenAIException - Error code: 429 - {'error': {'message': 'You exceeded …', 'type': 'insufficient_quota'}}", "throttling_error", "429"),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"LiteLLM's rate, quoted", 429, "", body("litellm.RateLimitError: AzureException RateLimitError - Error code: 429 - {'error': {'code': '429', 'message': 'Requests to the Operation have exceeded token rate limit. Please retry after 86400 seconds.'}}", "throttling_error", "429"),
			figures{RateLimit, Tokens, 0, -1, -1, -1, day}},
		{"LiteLLM's Gemini", 429, "", body(`litellm.RateLimitError: geminiException - {\"code\": 429, \"message\": \"You exceeded your current quota. Please retry in 46s.\", \"status\": \"RESOURCE_EXHAUSTED\"}`, "throttling_error", "429"),
			figures{RateLimit, Unknown, 0, -1, -1, -1, 46 * time.Second}},
		{"LiteLLM's budget", 400, "", body("Budget has been exceeded! Current cost: 0.0005, Max budget: 0.0001", "budget_exceeded", "400"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's balance", 403, "", body("", "new_api_error", "insufficient_user_quota"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no balance, by its code", 403, "", body("", "", "NOT_ENOUGH_BALANCE"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no balance, in words", 403, "", `{"code":403,"message":"not enough balance"}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no credits left, by the type", 429, "", body("", "credits_exhausted", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a cap on what is spent", 429, "", body("", "spend_cap_exceeded", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"money in a stream, in words", 200, "", body("Insufficient credits", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no funds", 403, "", body("", "", "INSUFFICIENT-FUNDS"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no permissions", 403, "", body("", "", "insufficient_permissions"), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"GitHub's, of a day", 429, "retry-after: 83652\nx-ratelimit-type: UserByModelByDay", `{"error":{"code":"RateLimitReached","message":"Rate limit of 8 per 86400s exceeded for UserByModelByDay. Please wait 83652 seconds before retrying.","details":"Rate limit of 8 per 86400s exceeded for UserByModelByDay."}}`,
			figures{RateLimit, Requests, day, 8, -1, -1, 83652 * time.Second}},
		{"GitHub's, of a minute", 429, "", `{"error":{"code":"RateLimitReached","message":"Rate limit of 15 per 60s exceeded for UserByModelByMinute. Please wait 25 seconds before retrying."}}`,
			figures{RateLimit, Requests, minute, 15, -1, -1, 25 * time.Second}},
		{"GitHub's tokens", 429, "", `{"error":{"code":"RateLimitReached","message":"Rate limit of 40000 per 60s exceeded for UserByModelByMinuteTokens. Please wait 60 seconds before retrying."}}`,
			figures{RateLimit, Tokens, minute, 40_000, -1, -1, 60 * time.Second}},
		{"GitHub's calls in flight", 429, "retry-after: 0", `{"error":{"code":"RateLimitReached","message":"Rate limit of 2 per 0s exceeded for UserConcurrentRequests. Please wait 0 seconds before retrying."}}`,
			figures{RateLimit, Unknown, 0, 2, -1, -1, 0}},
		{"Azure's input tokens of others' models", 429, "", `{"event_id":null,"error":{"type":"invalid_request_error","message":"{\"error\":{\"code\":\"RateLimitReached\",\"message\":\"Rate limit of 50000 per 60s exceeded for UserByModelByMinuteUncachedInputTokens. Please wait 56 seconds before retrying.\"}}"}}`,
			figures{RateLimit, Tokens, minute, -1, -1, -1, 56 * time.Second}},
		{"Azure's output tokens of others' models", 429, "", `{"error":{"code":"RateLimitReached","message":"Rate limit of 8000 per 60s exceeded for UserByModelByMinuteOutputTokens. Please wait 33 seconds before retrying."}}`,
			figures{RateLimit, Tokens, minute, -1, -1, -1, 33 * time.Second}},
		{"LiteLLM's limits of a key", 429, "retry-after: 60", body("Rate limit exceeded for model_per_key: 3c5d:gpt-4. Limit type: tokens. Current limit: 10000, Remaining: 0. Limit resets at: 2026-11-24 12:00:56 UTC", "None", "429"),
			figures{RateLimit, Tokens, minute, 10_000, -1, -1, 56 * time.Second}},
		{"LiteLLM's requests of a key", 429, "retry-after: 60", body("Rate limit exceeded for api_key: 3c5d. Limit type: requests. Current limit: 60, Remaining: 0.", "None", "429"),
			figures{RateLimit, Requests, minute, 60, -1, -1, 60 * time.Second}},
		{"LiteLLM's deployments", 429, "", body("No deployments available for selected model, Try again in 60 seconds. Passed model=m. pre-call-checks=False, cooldown_list=[]", "None", "429"),
			figures{RateLimit, Unknown, 0, -1, -1, -1, 60 * time.Second}},
		{"xAI's tokens", 429, "", `{"code":"Some resource has been exhausted","error":"Too many tokens for team e9 and model grok-4-0709. Your team's rate limit is — Tokens per Minute (actual/limit): 65605/16000. You can view your team rate limits at https://console.x.ai."}`,
			figures{RateLimit, Tokens, minute, 16_000, 65_605, -1, 0}},
		{"xAI's, of two periods", 429, "", `{"code":"x","error":"Your team's rate limit is: Requests per Second (actual/limit): 3/2, Requests per Minute (actual/limit): 10/60."}`,
			figures{RateLimit, Requests, time.Second, 2, 3, -1, 0}},
		{"xAI's, of which none is reached", 429, "", `{"code":"x","error":"Your team's rate limit is: Requests per Second (actual/limit): 1/2, Tokens per Minute (actual/limit): 10/60."}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a limit of a second", 429, "", body("reached rate limit of 8 requests per second", "", ""), figures{RateLimit, Requests, time.Second, 8, -1, -1, 0}},
		{"Databricks's, of a second", 429, "", `{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"Exceeded workspace QPS rate limit for m."}`, figures{RateLimit, Requests, time.Second, -1, -1, -1, 0}},
		{"RPS", 429, "", body("max RPS of 8 is reached", "", ""), figures{RateLimit, Requests, time.Second, -1, -1, -1, 0}},
		{"one query a minute", 429, "", body("Limited to 1 query per minute", "", ""), figures{RateLimit, Requests, minute, 1, -1, -1, 0}},
		{"OpenRouter's limit for all", 429, "", `{"error":{"message":"Rate limit exceeded: limit_rpm/deepseek/x. High demand for x on OpenRouter - limited to 20 requests per minute. Please retry shortly.","code":429}}`,
			figures{RateLimit, Requests, minute, 20, -1, -1, 0}},
		{"a limit of so many", 429, "", body("You have exceeded the rate limit of 3,000 tokens per minute.", "", ""), figures{RateLimit, Tokens, minute, 3000, -1, -1, 0}},
		{"a limit of something else", 429, "", body("You have exceeded the limit of 5 calls at a time, of 60 requests per minute.", "", ""), figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"Volcengine's plan", 429, "", `{"error":{"code":"AccountQuotaExceeded","message":"You have exceeded the 5-hour usage quota. It will reset at 2026-11-24 20:30:00 +0800 CST. Request id: 02","param":"","type":"TooManyRequests"}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 30 * time.Minute}},
		{"Volcengine's limit of the user's own", 429, "", body("Your account has reached the set inference limit for the model, and the model service has been paused.", "TooManyRequests", "SetLimitExceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's free tokens", 429, "", body("Free allocated quota exceeded.", "insufficient_quota", "insufficient_quota"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's free tokens, as a throttle", 429, "", body("Free allocated quota exceeded.", "", "Throttling.AllocationQuota"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's capacity", 503, "", body("Your requests are being throttled due to system capacity limits. Please try again later.", "ServiceUnavailable", "ServiceUnavailable"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Cloudflare's free neurons", 429, "", `{"errors":[{"message":"AiError: you have used up your daily free allocation of 10,000 neurons","code":3036}],"success":false}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Moonshot's plan", 429, "", body("You've reached your usage limit for this billing cycle. Your quota will be refreshed in the next cycle.", "access_terminated_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"watsonx's tokens", 403, "", `{"trace":"x","errors":[{"code":"token_quota_reached","message":"Failed to process"}],"status_code":403}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a budget that is used up", 429, "", body("Monthly", "", "budget_exhausted"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Ollama's load", 503, "", `{"error":"server busy, please try again.  maximum pending requests exceeded"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"pending requests", 503, "", `{"error":"maximum pending requests exceeded"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Cerebras's queue", 429, "", `{"message":"We're experiencing high traffic right now! Please try again soon.","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a wait in quoted JSON", 429, "", body(`litellm.RateLimitError: VertexAIException - b'{\\n \"details\": [{\\n \"retryDelay\": \"37s\"}]}'`, "throttling_error", "429"), figures{RateLimit, Unknown, 0, -1, -1, -1, 37 * time.Second}},
		{"a wait of short names", 429, "", `{"error":{"message":"m","wait":20}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait, beside how it is to grow", 429, "", `{"error":{"message":"m","retry_after":20,"backoff":"exponential"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait, behind how it is to grow", 429, "", `{"message":"m","backoff":"exponential","retry_after":20}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"Anthropic's limit of hours, with what helps", 429, "", body("You've reached your 5-hour limit. Resets in 20s. Enable extra usage to go on.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait by its seconds", 429, "", `{"error":{"message":"m","retry_after_s":20}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait by its milliseconds", 429, "", `{"error":{"message":"m","resetInMs":20}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * ms}},
		{"a moment by its milliseconds", 429, "", `{"error":{"message":"m","resetTimeMs":1795521620000}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"when the next one is available", 429, "", `{"error":{"message":"m","next_available_at":"2026-11-24T12:00:20Z"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"DIAL's limits, of several periods", 429, "", body("Hit token rate limit. Minute limit: 0 / 1600000 tokens. Day limit: 2105 / 10 tokens. Week limit: 4209 / 20 tokens.", "rate_limit_exceeded", "429"), figures{RateLimit, Tokens, 0, -1, -1, -1, 0}},
		{"requests that were sent together", 429, "", body("Rate limit reached on requests per min. Limit: 60, Requested: 61 in the last minute", "", ""), figures{RateLimit, Requests, minute, 60, -1, 61, 0}},
		{"a rate with advice about money", 429, "", body("Rate limit exceeded. Upgrade your plan or top up your credit balance for higher limits", "", "rate_limit_exceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate with figures and advice about money", 429, "", body("on requests per min (RPM): Limit 3, Used 3, Requested 1. Accounts without any credits are limited", "", ""), figures{RateLimit, Requests, minute, 3, 3, 1, 0}},
		{"advice about money while nothing is used", 429, "", body("on tokens per min (TPM): Limit 300, Used 0, Requested 200. Accounts without any credits are limited", "", ""), figures{RateLimit, Tokens, minute, 300, 0, 200, 0}},
		{"all of a limit at once", 429, "", body("Rate limit reached on tokens per min (TPM): Limit 300, Requested 300", "", ""), figures{RateLimit, Tokens, minute, 300, -1, 300, 0}},
		{"no credits, by another's code", 429, "", body("You have no credits left", "", "rate_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Anthropic's extra usage", 400, "", body("You're out of extra usage. Add more at claude.ai/settings/usage and keep going.", "invalid_request_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a free quota that is used up", 429, "", body("免费额度已用完", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a server that is busy, in Chinese", 503, "", body("服务器繁忙，请稍后再试", "", "1234"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"heavy traffic", 429, "", body("We are currently experiencing heavy traffic", "", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"heavy load", 503, "", body("Model is temporarily unavailable due to heavy load", "", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"insufficient capacity", 429, "", body("Insufficient capacity", "", "insufficient_capacity"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a queue that is full", 503, "", body("The request queue is full", "", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a code of HTTP in a success", 200, "", `{"code":429,"message":"Slow"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's bill", 400, "", body("Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's bill, of another code", 400, "", body("It failed", "", "Arrearage"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's bill without its code", 400, "", body("Access denied, please make sure your account is in good standing.", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Alibaba's bill through a gateway", 400, "", body("Access denied, please make sure your account is in good standing. For details, see: https://help.aliyun.com/zh/model-studio/error-code#overdue-payment", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a bill that is overdue", 403, "", body("Access denied due to overdue account", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's token", 401, "", body("该令牌额度已用尽 !token.UnlimitedQuota && token.RemainQuota = -1 (request id: 20260317)", "new_api_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's token, as a rate", 429, "", body("该令牌额度已用尽", "one_api_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"one-api's token, used up", 403, "", body("您的额度已用完", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Together's credits", 402, "", `{"id":"o3","error":{"message":"Credit limit exceeded. Please navigate to https://api.together.xyz/settings/billing to add credit or upgrade your plan.","type":"credit_limit","param":null,"code":null}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Together's credits, as a rate", 429, "", body("Credit limit exceeded. Please navigate to https://api.together.xyz/settings/billing to add credit or upgrade your plan.", "credit_limit", ""),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Together's rate, of the type of credits", 429, "", `{"error":{"message":"You have been rate limited. Your rate limit is 60 queries per minute. Please navigate to https://api.together.xyz/settings/billing to upgrade to a paid plan.","type":"credit_limit","param":null,"code":null}}`,
			figures{RateLimit, Requests, minute, 60, -1, -1, 0}},
		{"Together's rate of a model", 429, "", body("You have reached the rate limit specific to this model a/b. The maximum rate limit for this model is 9.0 queries per minute. This limit differs from the general rate limits published at Together AI rate limits documentation", "rate_limit", "rate_limit"),
			figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"Hugging Face's credits", 402, "", `{"error":"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Hugging Face's credits, as a rate", 429, "", `{"error":"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's plan", 429, "", body("Your GLM Coding Plan package has expired and is temporarily unavailable. You can resume using it after renewing the subscription on the official website", "", "1309"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's plan, in Chinese, of a rate's type", 429, "", `{"type":"error","error":{"type":"rate_limit_error","code":"1309","message":"您的GLM Coding Plan套餐已到期，暂无法使用，前往官方续订后即可恢复 https://bigmodel.cn/claude-code。"}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan without priority", 429, "", body("Too many requests, try again in 20s. Your plan does not include priority traffic.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"what Z.AI's plan leaves out", 429, "", `{"error":{"code":"1311","message":"Your current subscription plan does not yet include access to GLM-5"}}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's calls in flight", 429, "", `{"error":{"code":"1302","message":"High concurrency usage of this API, please reduce concurrency or contact customer service to increase limits"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's load, in English", 429, "", `{"error":{"code":"1305","message":"The service may be temporarily overloaded, please try again later"}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Chutes' load", 429, "", `{"detail":"Infrastructure is at maximum capacity, try again later"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Chutes' load, as a failure", 503, "", `{"detail":"Infrastructure is at maximum capacity, try again later"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Volcengine's bill", 403, "", body("The request failed because your account has an overdue balance. Request id: 02", "Forbidden", "AccountOverdueError"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Volcengine's load", 429, "", body("The service is currently unable to handle additional requests. Request id: 02", "TooManyRequests", "ServerOverloaded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Volcengine's TPM", 429, "", body("The Tokens Per Minute (TPM) limit of the associated endpoint for your account has been exceeded. Request id: 02", "TooManyRequests", "RateLimitExceeded.EndpointTPMExceeded"), figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"Volcengine's RPM of a model, in a stream", 200, "", body("The request was rejected. Request id: 02", "", "ModelAccountRpmRateLimitExceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a model that loads", 503, "", `{"error":"Model org/m is currently loading","estimated_time":20.5}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 20500 * ms}},
		{"a model that loads, its time first", 503, "", `{"estimated_time":20.5,"error":"Model org/m is currently loading"}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 20500 * ms}},
		{"Groq's, which can't be met, once", 429, "", body("Rate limit reached for model `m` on tokens per minute (TPM): Limit 7000, Used 0, Requested ~12903. Please try again in 50.597s.", "tokens", "rate_limit_exceeded"),
			figures{TooLarge, Tokens, minute, 7000, 0, 12_903, 50597 * ms}},
		{"NVIDIA's workers, in a stream", 200, "", body("ResourceExhausted: Worker local total request limit reached (33/32)", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Tencent's, as a 400", 400, "", body("m", "", "RequestLimitExceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Google's capacity", 429, "", `{"error":{"code":429,"message":"Unable to submit request because the service is temporarily out of capacity.","status":"RESOURCE_EXHAUSTED"}}`,
			figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini's, quoted by a proxy", 429, "", `{"error":{"message":"{\n \"error\": {\n \"code\": 429,\n \"message\": \"You exceeded your current quota, please check your plan and billing details.\",\n \"status\": \"RESOURCE_EXHAUSTED\"","code":429,"status":"Too Many Requests"}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"LiteLLM's budget of a deployment", 429, "", body("No deployments available - crossed budget: Exceeded budget for deployment model_name: m: 0.363 >= 1d", "None", "429"),
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"advice about extra usage", 429, "", body("This request would exceed your account's rate limit. Enable extra usage to continue.", "rate_limit_error", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"CLIProxyAPI's cooldown", 429, "", `{"error":{"code":"model_cooldown","message":"All credentials for model m are cooling down","reset_seconds":495669}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 495669 * time.Second}},
		{"a moment by the server's clock", 429, "date: Tue, 24 Nov 2026 11:00:00 GMT\nretry-after: Tue, 24 Nov 2026 11:00:20 GMT", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a moment by the server's clock, in words", 429, "date: Tue, 24 Nov 2026 13:00:00 GMT", body("Please try again at 2026-11-24T13:00:20Z", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a moment in a stream that began long ago", 200, "date: Tue, 24 Nov 2026 11:00:00 GMT", body("Please try again at 2026-11-24T12:00:20Z", "", "rate_limit_exceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait in words in the body", 429, "", `{"error":{"message":"m","retry_after":"in 15 seconds"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a date in the body", 429, "", `{"error":{"message":"m","retry_after":"Tue, 24 Nov 2026 12:00:15 GMT"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait in seconds, by a name of several words", 429, "", `{"error":{"message":"m","cooldown_seconds":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"when to retry next, in milliseconds", 429, "", `{"error":{"message":"m","next_retry_at_ms":1795521620000}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a reset that may be a moment", 429, "", `{"error":{"message":"m","reset":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a wait anywhere in an error", 429, "", `{"error":{"message":"m"},"parameters":{"limits":{"retry_after":15}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"another's reset anywhere in an error", 429, "", `{"error":{"message":"m"},"limits":{"day":{"remaining":500,"resets_in":40000}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"the answer's own members, which are no error's", 200, "", `{"error":{"code":429,"message":"m"},"parameters":{"retry_after":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"headers in an error", 429, "", `{"error":{"message":"m","headers":{"Retry-After":"15"}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"headers beside an error", 429, "", `{"error":{"message":"m"},"headers":{"retry-after":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a description", 429, "", `{"errors":[{"description":"Please try again in 20s","key":"fail"}]}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a description before a message", 429, "", `{"error":{"detail":"x","message":"Please try again in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message before a description", 429, "", `{"error":{"message":"Please try again in 20s","msg":"x"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message in capitals", 429, "", `{"Message":"Please try again in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"errors that are one", 429, "", `{"errors":{"message":"Please try again in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a title and a message", 429, "", `{"statusCode":429,"error":"Too Many Requests","message":"Rate limit exceeded, retry in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message and a title", 429, "", `{"message":"Rate limit exceeded, retry in 20s","error":"Too Many Requests"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"within other words", 429, "", body("The model xrpm may be called an unlimited 5 times, and itpm 7", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"LiteLLM's own limits", 429, "", body("LiteLLM Rate Limit Handler for rate limit type = team. Crossed TPM / RPM / Max Parallel Request Limit. current rpm: 1, rpm limit: 15, current tpm: 12260, tpm limit: 5000, current max_parallel_requests: 0", "None", "429"),
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"LiteLLM's own limits, one of 0", 429, "", body("Crossed TPM / RPM / Max Parallel Request Limit. current rpm: 1, rpm limit: 0, current tpm: 0, tpm limit: 5000", "tokens", "429"),
			figures{RateLimit, Tokens, 0, -1, -1, -1, 0}},
		{"xAI's, of several limits", 429, "", `{"code":"Some resource has been exhausted","error":"Your team's rate limit is: Requests per Second (actual/limit): 3/2, Requests per Minute (actual/limit): 61/60, Tokens per Minute (actual/limit): 1000/2000000."}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"one limit of two periods", 429, "", body("Limit 200 requests per minute or 1000 requests per day", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"xAI's money", 429, "", `{"code":"x","error":"Your team has either used all available credits or reached its monthly spending limit."}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no credits", 429, "", body("You have run out of credits.", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Z.AI's load", 429, "", body("该模型当前访问量过大，请您稍后再试", "", "1305"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a model that is busy", 429, "", body("Model busy, retry later", "", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's own limit", 429, "", `{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1795521620000"},"provider_name":null}},"user_id":"u"}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a plan's limit", 429, "", `{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"free","resets_at":1795521620,"eligible_promo":null}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a time in the body", 429, "", `{"error":{"message":"m","reset_at":"2026-11-24T12:00:20Z"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"milliseconds in the body", 429, "", `{"error":{"message":"m","retry_after_ms":1500}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 1500 * ms}},
		{"milliseconds, as floats are written", 429, "", `{"error":{"message":"m","retry_after_ms":1.5e3}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 1500 * ms}},
		{"a wait without end in the body", 429, "", `{"error":{"message":"m","retry_after":1E99}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, longestWait}},
		{"a wait in another spelling", 429, "", `{"error":{"message":"m","RetryAfter-Secs":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait in a long spelling", 429, "", `{"error":{"message":"m","retry_after_milliseconds_or_more":15}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a wait in details", 429, "", `{"error":{"message":"m","details":{"retryAfter":15}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait in one of the details", 429, "", `{"error":{"message":"m","details":[{"retryAfter":15}]}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait in data", 429, "", `{"error":{"message":"m","data":{"retry_after":"PT15S"}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"milliseconds beside the error", 429, "", `{"error":"Too many","retryAfterMs":"1500"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 1500 * ms}},
		{"milliseconds with their unit", 429, "", `{"error":{"message":"m","retry_after_ms":"500ms"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 500 * ms}},
		{"milliseconds with their unit, beside the error", 429, "", `{"error":"Too many","retry_after_ms":"500 ms"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 500 * ms}},
		{"milliseconds between spaces", 429, "", `{"error":{"message":"m","retry_after_ms":" 1,500 "}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 1500 * ms}},
		{"a wait beside the error", 429, "", `{"error":{"message":"m"},"retry_after":15}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait before the error", 429, "", `{"retry_after":15,"error":{"message":"m"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait in the error, and another", 429, "", `{"error":{"message":"m","retry_after":15},"retry_after":60}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"a wait of the gateway's", 429, "", `{"error":{"message":"m","metadata":{"retry_after_seconds":15}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 15 * time.Second}},
		{"an error in an error", 429, "", `{"error":{"message":"x","error":{"message":"Please try again in 20s","type":"tokens","code":"rate_limit_exceeded"}}}`, figures{RateLimit, Tokens, 0, -1, -1, -1, 20 * time.Second}},
		{"an error with an empty one", 429, "", `{"error":{"message":"Please try again in 20s","type":"tokens","error":{}}}`, figures{RateLimit, Tokens, 0, -1, -1, -1, 20 * time.Second}},
		{"an error around one that says nothing", 429, "", `{"error":{"message":"Please try again in 20s","type":"tokens","error":{"message":"","code":null}}}`, figures{RateLimit, Tokens, 0, -1, -1, -1, 20 * time.Second}},
		{"an error and an empty one beside it", 429, "", `{"error":{"message":"Please try again in 20s"},"response":{"error":{}},"detail":{}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an error and another beside it", 429, "", `{"error":{"message":"Please try again in 20s"},"choices":[{"error":{"message":"x","code":"insufficient_quota"}}]}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message and an empty error", 429, "", `{"message":"Please try again in 20s","error":{}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an error without a message, and one", 429, "", `{"error":{"type":"tokens"},"message":"Please try again in 20s"}`, figures{RateLimit, Tokens, 0, -1, -1, -1, 20 * time.Second}},
		{"an error without a code, and one", 429, "", `{"error":{"message":"Wait"},"code":"insufficient_quota"}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a title, a detail and a message", 429, "", `{"error":"Too Many Requests","detail":{"message":"Please try again in 20s"},"message":"x"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a title within an error, and a message beside it", 429, "", `{"error":{"message":"Please try again in 20s","error":"title"},"message":"x"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an error in a detail", 429, "", `{"detail":{"error":{"message":"Please try again in 20s","type":"tokens"}}}`, figures{RateLimit, Tokens, 0, -1, -1, -1, 20 * time.Second}},
		{"a detail with a message", 429, "", `{"detail":{"message":"Please try again in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"errors without end", 429, "", strings.Repeat(`{"error":`, 100) + `{"message":"Please try again in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Cloudflare's errors", 429, "", `{"success":false,"errors":[{"code":10429,"message":"Please try again in 20s"},{"code":7,"message":"Wait 5s"}],"result":null}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"errors, the first empty", 429, "", `{"errors":[{"message":"","extensions":{}},{"message":"Please try again in 20s"}]}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"errors that are strings", 429, "", `{"errors":["Please try again in 20s","Wait 5s"]}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an error that is a list", 429, "", `{"error":[{"message":"Please try again in 20s"}]}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"msg", 429, "", `{"code":429,"msg":"Please try again in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"plain text", 429, "", " Too many requests, please try again in 20 seconds.\n", figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a string", 429, "", `"Rate limit exceeded. Retry in 27s"`, figures{RateLimit, Unknown, 0, -1, -1, -1, 27 * time.Second}},
		{"plain text, long", 429, "", strings.Repeat("word ", bufferSize/5-1) + "retry in 27s", figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Apigee's", 429, "", `{"fault":{"faultstring":"Rate limit quota violation. Retry in 20s","detail":{"errorcode":"policies.ratelimit.QuotaViolation"}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a reason", 429, "", `{"reason":"Retry in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a reason beside a message", 429, "", `{"message":"Retry in 20s","reason":"rate"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a reason before a message", 429, "", `{"reason":"rate","message":"Retry in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a reason beside an error", 429, "", `{"error":{"message":"Retry in 20s"},"reason":"rate"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message in data", 429, "", `{"data":{"message":"Retry in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a msg in data", 429, "", `{"data":{"msg":"Retry in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a message in data beside another", 429, "", `{"data":{"message":"x"},"error":{"message":"Retry in 20s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a wait in data beside an error", 429, "", `{"data":{"retry_after":20},"error":{"message":"m"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"data that are a list", 429, "", `{"data":[{"message":"Retry in 5s"}],"message":"Retry in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an array of strings", 429, "", `[ "Please wait 20 seconds" ]`, figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"an array of numbers", 429, "", `[20]`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a reason of a success", 200, "", `{"code":429,"reason":"Retry in 20s"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a page", 429, "", "<html>Retry in 27s</html>", figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"in any case", 429, "", body("Rate limit reached on Tokens Per Minute: limit 30000, used 29446, requested 821.", "tokens", ""), figures{RateLimit, Tokens, minute, 30000, 29446, 821, 0}},
		{"input tokens", 429, "", body("This request would exceed the rate limit for your organization (c26) of 30,000 input tokens per minute.", "rate_limit_error", ""), figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"a rate in a stream, by its type", 200, "", body("Slow", "rate_limited", "1300"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate in a stream, in capitals", 200, "", body("Slow", "", "RateLimitExceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate in a stream, in words", 200, "", body("Too many requests, please wait before trying again.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate in a stream, with its status", 200, "", body("", "", "429 Too Many Requests"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate in a stream, of Bedrock's", 200, "", body("", "throttling_exception", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a page behind a blank line", 503, "", "\n<html>Too busy</html>", figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"bytes that are no text", 503, "", "Too busy \xff", figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"Gemini, none allowed, as the message says", 429, "", `{"error":{"code":429,"message":"Quota exceeded for metric: g/requests, limit: 0, model: m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"10"}]}]}}`,
			figures{TooLarge, Requests, day, 0, -1, -1, 0}},
		{"two limits of tokens", 429, "", body("Hit token rate limit. Minute limit: 0 / 1600000 tokens. Day limit: 2105 / 10 tokens.", "rate_limit_exceeded", "429"), figures{RateLimit, Tokens, 0, -1, -1, -1, 0}},
		{"a rate as a bad request, with what is spent", 400, "x-ratelimit-remaining: 0\nx-ratelimit-reset: 20", body("Wait", "", "rate_limit_exceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a server that fails by its load", 500, "", body("The server is too busy", "server_error", ""), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a bad request in words of a load", 400, "", body("Tools must not say that they are too busy", "invalid_request_error", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"nothing is allowed of what has no name", 429, "", body("Rate limit reached: Limit 0, Requested 5", "", ""), figures{TooLarge, Unknown, 0, 0, -1, 5, 0}},
		{"a budget and its limit", 429, "", body("Budget exceeded. Limit: 100", "", ""), figures{Quota, Unknown, 0, 100, -1, -1, 0}},
		{"no tokens are allowed, with advice about money", 429, "", body("on tokens per min (TPM): Limit 0, Used 0, Requested 200. Accounts without any credits are limited", "", ""), figures{TooLarge, Tokens, minute, 0, 0, 200, 0}},
		{"xAI's, just reached", 429, "", `{"code":"x","error":"Requests per Second (actual/limit): 2/2"}`, figures{RateLimit, Requests, time.Second, 2, 2, -1, 0}},
		{"xAI's, of which none is allowed", 429, "", `{"code":"x","error":"Your team's rate limit is: Requests per Minute (actual/limit): 1/60, Tokens per Minute (actual/limit): 5/0"}`, figures{TooLarge, Tokens, minute, 0, 5, -1, 0}},
		{"a time that is no period", 429, "", body("There were 5 requests 60 seconds ago", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a period without a unit", 429, "", body("Limited to 8 requests per 60", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"what is left, in a word of its own", 429, "", body("on tokens per min (TPM): Limit 1000, Unused 500", "", ""), figures{RateLimit, Tokens, minute, 1000, -1, -1, 0}},
		{"a member that says nothing", 429, "retry-after: 7", `{"error":{"message":"m","retry_after":"0s"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 7 * time.Second}},
		{"GitHub's calls in flight, with advice", 429, "", `{"error":{"code":"RateLimitReached","message":"Rate limit of 2 per 0s exceeded for UserConcurrentRequests. Those of UserByModelByDay are others."}}`, figures{RateLimit, Unknown, 0, 2, -1, -1, 0}},
		{"403 with a wait", 403, "retry-after: 1", "", figures{RateLimit, Unknown, 0, -1, -1, -1, time.Second}},
		{"403 of a limit of a second", 403, "", body("You are above your limit of 5 requests per second", "", ""), figures{RateLimit, Requests, time.Second, 5, -1, -1, 0}},
		{"a limit and a wait in a stream", 200, "", body("You are above your limit, retry in 1s", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, time.Second}},
		{"503 with a short wait", 503, "retry-after: 1", "<html>", figures{Overloaded, Unknown, 0, -1, -1, -1, time.Second}},
		{"a bad request in words of rates", 400, "", body("too many requests in one batch", "invalid_request_error", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"a failure in words of rates", 500, "", body("The rate limit service is down", "server_error", ""), figures{Other, Unknown, 0, -1, -1, -1, 0}},

		// Spend limits, plans and accounts by other names, and rates that sound like them.
		{"hard limit reached, by its code", 429, "", body("Denied", "", "hard_limit_reached"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"hard limit exceeded, by its code", 429, "", body("Denied", "", "hard_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"cost limit exceeded, by its code", 429, "", body("Denied", "", "cost_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"monthly quota exceeded, by its code", 429, "", body("Denied", "", "monthly_quota_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"plan limit exceeded, by its code", 429, "", body("Denied", "", "plan_limit_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"subscription expired, by its code", 429, "", body("Denied", "", "subscription_expired"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"subscription inactive, by its code", 429, "", body("Denied", "", "subscription_inactive"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"trial expired, by its code", 429, "", body("Denied", "", "trial_expired"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"trial ended, by its code", 429, "", body("Denied", "", "trial_ended"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"account deactivated, by its code", 429, "", body("Denied", "", "account_deactivated"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"account suspended, by its code", 429, "", body("Denied", "", "account_suspended"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"account terminated, by its code", 429, "", body("Denied", "", "account_terminated"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"access terminated, by its code", 429, "", body("Denied", "", "access_terminated"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"monthly limit reached, by its code", 429, "", body("Denied", "", "monthly_limit_reached"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"monthly usage exceeded, by its code", 429, "", body("Denied", "", "monthly_usage_exceeded"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"usage limit reached, by its code", 429, "", body("Denied", "", "usage_limit_reached"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"quota exhausted, by its code", 429, "", body("Denied", "", "quota_exhausted"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"project budget reached, by its code", 429, "", body("Denied", "", "project_budget_reached"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"account past due, by its code", 429, "", body("Denied", "", "account_past_due"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"You have reached your monthly budget", 429, "", body("You have reached your monthly budget.", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Monthly budget reached", 429, "", body("Monthly budget reached", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Project has hit its budget cap", 429, "", body("Project has hit its budget cap", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"This key has exceeded its credit limit", 429, "", body("This key has exceeded its credit limit", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"You've reached your usage limit for the month", 429, "", body("You've reached your usage limit for the month", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Account balance is zero", 429, "", body("Account balance is zero", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Your account is past due", 429, "", body("Your account is past due", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Payment required", 429, "", body("Payment required", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan that ends, of a rate's type", 429, "", body("The usage limit has been reached", "rate_limit_error", "usage_limit_reached"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan that ends, in a stream", 200, "", body("The usage limit has been reached", "usage_limit_reached", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan that ends, as a 403", 403, "", body("Denied", "", "quota_exhausted"), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan's limit in a bad request", 400, "", body("Too many tools", "", "plan_limit_exceeded"), figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"a plan with a wait", 429, "retry-after: 20", body("Denied", "", "quota_exhausted"), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a plan with a wait, in words", 429, "", body("Your usage limit is reached. Try again in 20s", "", "plan_limit_exceeded"), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a plan with a reset", 429, "ratelimit-reset: 20", body("Denied", "usage_limit_reached", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"money with a reset", 429, "ratelimit-reset: 20", body("Monthly budget reached", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a month with a reset", 429, "ratelimit-reset: 20", body("Monthly usage limit exceeded", "", ""), figures{Quota, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a plan's rate", 429, "", body("60 requests per minute", "", "plan_limit_exceeded"), figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"a plan's rate, in words", 429, "", body("Rate limit reached", "", "usage_limit_reached"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a plan's figures", 429, "", body("Limit 60, used 60", "", "plan_limit_exceeded"), figures{RateLimit, Unknown, 0, 60, 60, -1, 0}},
		{"requests that are used up", 429, "", body("Denied", "", "request_quota_exhausted"), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"an account that waits", 429, "", body("Your account has been suspended for 20 seconds", "", "account_suspended"), figures{RateLimit, Unknown, 0, -1, -1, -1, 20 * time.Second}},
		{"a rate and a budget", 429, "", body("Rate limit reached. Set a monthly budget to raise it", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate and a trial", 429, "", body("Too many requests. Your trial has ended, so that lower limits apply", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate, and no payment", 429, "", body("Slow down. No payment required", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"tokens of a budget", 429, "", body("Thinking budget reached", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"retries of a budget", 429, "", body("The retry budget is exhausted", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate and a balance", 429, "", body("You are being throttled. Accounts whose balance is zero go slower", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a credit limit", 429, "", body("Raise your credit limit to go faster", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a plan, as advice", 429, "", body("Upgrade your plan to increase your usage limit", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"an expired token", 429, "", body("Your session token has expired", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a month, as advice", 429, "", body("Limits are raised every month", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"suspended calls", 429, "", body("Calls are suspended", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a rate of a minute and a budget", 429, "", body("60 requests per minute. Raise your monthly budget for more", "", ""), figures{RateLimit, Requests, minute, -1, -1, -1, 0}},
		{"figures of a rate and a budget", 429, "", body("Limit 60, used 60. Raise your monthly budget for more", "", ""), figures{RateLimit, Unknown, 0, 60, 60, -1, 0}},

		// What stands in a member of another name.
		{"OpenRouter's kind of error", 200, "", `{"error":{"code":502,"message":"Upstream request failed","metadata":{"error_type":"provider_overloaded"}}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's kind of error, first", 200, "", `{"error":{"metadata":{"error_type":"provider_overloaded"},"code":502,"message":"Upstream request failed"}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's kind of error, in a choice", 200, "", `{"choices":[{"finish_reason":"error","error":{"code":503,"message":"Upstream request failed","metadata":{"error_type":"provider_overloaded"}}}]}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"OpenRouter's kind of error, and nothing else", 200, "", `{"error":{"metadata":{"error_type":"rate_limit_error"}}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a kind of error beside a code and a type", 429, "", `{"error":{"code":"c","type":"t","message":"m","error_type":"overloaded"}}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a kind of error alone", 429, "", `{"error":{"message":"m","error_type":"overloaded"}}`, figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"a kind of error alone, in an array", 400, "", `[{"error_code":"ThrottlingException"},{"message":"m"}]`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"Anthropic's cap of a month", 429, "", `{"type":"error","error":{"type":"rate_limit_error","message":"Regain access later","details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_018"}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Anthropic's cap of a month, in its words", 429, "", `{"type":"error","error":{"type":"rate_limit_error","message":"You have reached your API usage limits: your organization has crossed its monthly API usage threshold, set based on your organization's API tier. You will regain access on 2026-12-01 at 00:00 UTC.","details":{"error_code":"enforced_spend_limit_reached"}}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a code of the root by another name", 403, "", `{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"m"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a code of the root by another name, in a success", 200, "", `{"errorCode":"TooManyRequests","message":"m"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a code of the root by two names", 403, "", `{"errorType":"ThrottledError","__type":"Denied","message":"m"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"AWS's type", 400, "", `{"__type":"com.amazon.coral.service#ThrottlingException","message":"Rate exceeded"}`, figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},

		// OpenRouter: what is under way may cost more than there is, until it has been paid for.
		{"OpenRouter's budget for what is under way", 402, "retry-after: 5", `{"error":{"message":"This request would exceed your available credits given your current in-flight requests. Retry after in-flight requests settle, or add credits.","code":402,"metadata":{"reason":"in_flight_budget_exhausted","limit_source":"openrouter_in_flight_budget","error_type":"payment_required"}}}`,
			figures{RateLimit, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"OpenRouter's budget for what is under way, without a wait", 402, "", `{"error":{"message":"This request would exceed your available credits given your current in-flight requests. Retry after in-flight requests settle, or add credits.","code":402}}`,
			figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"no credits, and a wait", 402, "retry-after: 5", `{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","code":402}}`, figures{Quota, Unknown, 0, -1, -1, -1, 5 * time.Second}},
		{"OpenRouter's budget of a week", 403, "", `{"error":{"code":403,"message":"Budget limit exceeded","metadata":{"limit_source":"openrouter_guardrail_budget","resets_at":"2026-12-01T00:00:00.000Z"}}}`, figures{Quota, Unknown, 0, -1, -1, -1, 156 * time.Hour}},
		{"payment, by its type", 429, "", body("Visit your billing tab", "payment_required_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},

		{"OpenAI's load", 429, "", body("We're currently processing too many requests — please try again later.", "invalid_request_error", "rate_limit_exceeded"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Azure's load", 429, "", body("The service is temporarily unable to process your request.", "", "429"), figures{Overloaded, Unknown, 0, -1, -1, -1, 0}},
		{"Scaleway's tokens", 429, "", `{"status":429,"error":"INSUFFICIENT QUOTA","message":"You exceeded your current quota of tokens per minute. Slow down your usage or increase your quotas."}`, figures{RateLimit, Tokens, minute, -1, -1, -1, 0}},
		{"Ollama's plan", 429, "", `{"error":"you (user) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade or add usage credits: https://ollama.com/settings (ref: ddc53fde)"}`, figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"Ollama's plan of hours", 429, "", body("you (user) have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade (ref: ddc53fde)", "api_error", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"a plan of a week, until when", 429, "", body("You've reached your weekly usage limit. Resets in 3d 4h", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 76 * time.Hour}},
		{"opencode's plan", 429, "", body("Subscription quota exceeded. You can continue using free models.", "SubscriptionUsageLimitError", ""), figures{Quota, Unknown, 0, -1, -1, -1, 0}},
		{"opencode's plan, until when", 429, "retry-after: 1818506", body("Go usage limit exceeded", "GoUsageLimitError", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 1818506 * time.Second}},
		{"opencode's rate for guests", 429, "", body("Rate limit exceeded. Please try again later.", "FreeUsageLimitError", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},

		{"400", 400, "", body("This model's maximum context length is 8192 tokens", "invalid_request_error", "context_length_exceeded"),
			figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"500", 500, "", "oops", figures{Other, Unknown, 0, -1, -1, -1, 0}},
		{"bare 429", 429, "", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"a date", 429, "retry-after: Tue, 24 Nov 2026 12:00:07 GMT", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 7 * time.Second}},
		{"a date in the past", 429, "retry-after: Tue, 24 Nov 2026 11:59:59 GMT", "", figures{RateLimit, Unknown, 0, -1, -1, -1, 0}},
		{"absurd wait", 429, "retry-after: 1e12", body("Please retry after 99999 hours.", "", ""), figures{RateLimit, Unknown, 0, -1, -1, -1, longestWait}},
		{"cut", 429, "", body("… on tokens per min (TPM): Limit 10000, Used 8554, Requ", "", "")[:70], figures{RateLimit, Tokens, minute, 10000, -1, -1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ParseThrottle(c.status, headers(c.headers), []byte(c.body), now)
			got := figures{r.Kind, r.Dimension, r.Period, r.Limit, r.Used, r.Requested, r.RetryAfter}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// Each word does what its list is for.
func TestWordsOfKinds(t *testing.T) {
	for _, x := range []struct {
		status int
		words  []string
		want   Kind
	}{
		{429, moneyWords, Quota}, {429, spentWords, Quota}, {429, monthWords, Quota}, {429, loadWords, Overloaded}, {200, rateWords, RateLimit}, {429, growthWords, SlowDown},
	} {
		for _, word := range x.words {
			body := []byte(`{"error":{"message":"It says: ` + word + ` of a kind"}}`)
			if got := ParseThrottle(x.status, nil, body, now).Kind; got != x.want {
				t.Errorf("%q is of kind %v, want %v", word, got, x.want)
			}
		}
	}
}

// Of a server's words 1 KiB is kept, however they come.
func TestThrottleKeepsWords(t *testing.T) {
	long := strings.Repeat("word ", 4000)
	for name, x := range map[string]struct{ body, code string }{
		"a message":         {`{"error":{"code":"c","message":"` + long + `"}}`, "c"},
		"plain text":        {long, ""},
		"a provider's text": {`{"error":{"code":"c","message":"word","metadata":{"raw":"` + long + `"}}}`, "c"},
	} {
		r := ParseThrottle(429, nil, []byte(x.body), now)
		if r.Code != x.code || len(r.Message) > 1<<10 || len(r.Message) < 1<<10-len("word ") {
			t.Errorf("%s: %q, message of %d bytes", name, r.Code, len(r.Message))
		}
	}
}

// FuzzThrottle: whatever is sent, what was understood is sane.
func FuzzThrottle(f *testing.F) {
	f.Add(429, "534", "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29446, Requested 821. Please try again in 534ms.")
	f.Add(503, "", "Limit: 0/1min. Current: 1/1min. Please retry after 37 seconds.")
	f.Add(200, "-1", `Try again in 1e17 days. Limit 99,999,999,999,999,999,999 \ud83d`)
	f.Fuzz(func(t *testing.T, status int, ms, message string) {
		h := http.Header{"Retry-After-Ms": {ms}}
		for _, body := range []string{message, `{"error":{"message":"` + message + `"}}`, `{"error":{"message":"` + message} {
			r := ParseThrottle(status, h, []byte(body), now)
			if r.RetryAfter < 0 || r.RetryAfter > longestWait || r.Kind > Overloaded || r.Dimension > Images || len(r.Message) > bufferSize ||
				min(r.Limit, r.Used, r.Requested) < -1 || max(r.Limit, r.Used, r.Requested) > maxCount {
				t.Errorf("%q: %+v", body, r)
			}
		}
	})
}

// Of a message that is cut off, or does not fit, whole words are kept: half a number would be another one.
func TestMessageKeepsWholeWords(t *testing.T) {
	long := strings.Repeat("7", 5000)
	for body, want := range map[string]string{
		`{"error":{"message":"Limit 30`:               "Limit",
		`{"error":{"message":"30`:                     "",
		`{"error":{"message":"Limit ` + long + `"}}`:  "Limit",
		`{"error":{"message":"` + long + `"}}`:        "",
		`{"error":{"message":"` + long + ` words"}}`:  "",
		`{"error":{"message":"Limit 30 ` + long + `"`: "Limit 30",
	} {
		if got := ParseThrottle(429, nil, []byte(body), time.Time{}).Message; got != want {
			t.Errorf("%.40s keeps %q; want %q", body, got, want)
		}
	}
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
		{"nothing requested", 20, 20, 0, 20 * time.Millisecond, minute, 20 + 0.02/3},
		{"off by a whole one", 20, 18, 1, 0, minute, 18},
		{"off by one and a half", 60, 58, 1, 500 * time.Millisecond, minute, 58},
		{"off by one", 60, 58, 2, time.Second, minute, 59},
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

// Google's quotaId names what is limited, and for how long.
func TestSubjectOf(t *testing.T) {
	for id, want := range map[string]struct {
		d      Dimension
		period time.Duration
	}{
		"GenerateRequestsPerMinutePerProjectPerModel-FreeTier": {Requests, minute}, "GenerateContentInputTokensPerModelPerDay": {Tokens, day},
		"GenerateImagesPerMinute": {Images, minute}, "ImageRequestsPerDay": {Images, day}, "": {}, "PerMonth": {},
	} {
		if d, period := subjectOf(id); d != want.d || period != want.period {
			t.Errorf("%q: %v, %v", id, d, period)
		}
	}
}

// A message of just the length that is kept is kept whole.
func TestClipped(t *testing.T) {
	fits := strings.Repeat("x", bufferSize-2) + " y"
	if got := clipped(fits); got != fits {
		t.Errorf("%d bytes of %d", len(got), len(fits))
	}
	if got := clipped(fits + "z"); got != strings.Repeat("x", bufferSize-2) {
		t.Errorf("%d bytes of one more", len(got))
	}
	if got := clipped(strings.Repeat("x", bufferSize+1)); got != "" {
		t.Errorf("%d bytes of a word that does not fit", len(got))
	}
}
