package wire

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is what a throttle calls for.
type Kind uint8

const (
	// Other is an error that says nothing about limits.
	Other Kind = iota
	// RateLimit passes: the call may succeed after a wait.
	RateLimit
	// TooLarge never passes: the call alone exceeds the limit.
	TooLarge
	// Quota is about money: no wait helps.
	Quota
	// SlowDown means that traffic grows too fast, even within the limits.
	SlowDown
	// Unavailable means that the flex tier has no capacity at present.
	Unavailable
	// Overloaded means that the server has too much to do, whoever asks: it says nothing
	// about the caller's limits.
	Overloaded
)

// Dimension is what a throttle is about.
type Dimension uint8

const (
	Unknown Dimension = iota
	Requests
	Tokens
	Images
)

// A Throttle is what an error response says. Bodies seen, with the limit's name
// spelt in several ways over the years:
//
//	Rate limit reached for gpt-4o in organization org-… on tokens per min (TPM):
//	Limit 30000, Used 29446, Requested 821. Please try again in 534ms. Visit …
//	Request too large for gpt-4o … on tokens per min (TPM): Limit 30000, Requested 31538. …
//	Rate limit exceeded for images per minute … Limit: 0/1min. Current: 1/1min.
//	Requests to … have exceeded token rate limit … Please retry after 37 seconds.
//
// Gemini's compatible surface says "You exceeded your current quota" of every limit, and what
// it is in error.details: the quotaId of a QuotaFailure, and a RetryInfo.
type Throttle struct {
	Kind      Kind
	Dimension Dimension
	// Period is a minute or a day, 0 if not said.
	Period time.Duration
	// Limit, Used and Requested are -1 if not said.
	Limit, Used, Requested int64
	// RetryAfter is 0 if not said.
	RetryAfter time.Duration
	// Code, Type and Message are the server's words; Message keeps 1 KiB.
	Code, Type, Message string
}

// ParseThrottle reads as much as it can of an error response. h and body may be nil, and
// body may be cut anywhere. Waits that are stated as a date are counted from now.
func ParseThrottle(status int, h http.Header, body []byte, now time.Time) Throttle {
	m := NewMeter(status, "", nil)
	m.Write(body)
	r := newThrottle(status, h, m.error(), now)
	if r.RetryAfter == 0 {
		r.RetryAfter = resetWait(h)
	}
	return r
}

func newThrottle(status int, h http.Header, f fault, now time.Time) Throttle {
	r := Throttle{
		Limit: -1, Used: -1, Requested: -1,
		Code: f.code, Type: f.typ, Message: f.message,
	}
	r.Dimension, r.Period = r.subject(first(h, "X-Ratelimit-Type"), &f)
	if n, ok := figure(f.message, "Limit"); ok {
		r.Limit = n
	} else if n, ok := parseCount(f.quotaValue); ok {
		r.Limit = n
	}
	if n, ok := figure(f.message, "Used"); ok {
		r.Used = n
	} else if n, ok := figure(f.message, "Current"); ok {
		r.Used = n
	}
	if n, ok := figure(f.message, "Requested"); ok {
		r.Requested = n
	}
	r.RetryAfter = r.wait(h, &f, now)
	if r.Kind = r.kind(status, &f); r.Kind == Overloaded {
		r.Dimension, r.Period = Unknown, 0 // its type may be "requests"
	}
	return r
}

// Stood returns what was used of a limit of this period when it rejected the call. Used
// rounds it to whole units; the wait gives it exactly, if the two agree ("Limit 10000,
// Used 8554, Requested 3082. Please try again in 9.816s"). Limit and Used must be known.
func (r *Throttle) Stood(period time.Duration) float64 {
	used, limit := float64(r.Used), float64(r.Limit)
	exact := limit - float64(r.Requested) + r.RetryAfter.Seconds()*limit/period.Seconds()
	if r.Requested >= 0 && r.RetryAfter > 0 && math.Abs(exact-used) <= 1 {
		return exact
	}
	return used
}

// kinds are what codes and types mean, in lower case.
var kinds = map[string]Kind{
	"insufficient_quota":                Quota,
	"quota_exceeded":                    Quota,
	"credit_balance_exhausted":          Quota,
	"insufficient_balance":              Quota,
	"insufficient_credits":              Quota,
	"payment_required":                  Quota,
	"project_spend_limit_exceeded":      Quota,
	"organization_spend_limit_exceeded": Quota,
	"organization_usage_limit_exceeded": Quota,
	"usage_limit_exceeded":              Quota,
	"session_budget_exceeded":           Quota,

	"slow_down": SlowDown,

	"resource_unavailable": Unavailable,
	"capacity_exceeded":    Unavailable, // Groq's flex tier

	"server_is_overloaded": Overloaded,
	"overloaded_error":     Overloaded, // Anthropic's
	"nocapacity":           Overloaded, // Azure's
	"no_capacity":          Overloaded,

	"rate_limit_exceeded":      RateLimit,
	"rate_limit_error":         RateLimit,
	"rate_limit":               RateLimit,
	"ratelimitreached":         RateLimit, // Azure's
	"rate_limit_reached":       RateLimit,
	"rate_limit_reached_error": RateLimit,
	"too_many_requests":        RateLimit,
	"toomanyrequests":          RateLimit,
	"resource_exhausted":       RateLimit, // Google's status
	"429":                      RateLimit,
}

// kindOf returns what a code or a type means, or Other.
func kindOf(word string) Kind {
	word = strings.ToLower(word)
	k, known := kinds[word]
	switch {
	case known:
		return k
	case strings.HasPrefix(word, "billing_"), strings.HasSuffix(word, "_spend_limit_exceeded"),
		strings.HasSuffix(word, "_usage_limit_exceeded"), strings.HasSuffix(word, "_budget_exceeded"):
		return Quota
	case strings.Contains(word, "overload"):
		return Overloaded
	}
	return Other
}

// What the messages of errors without a code say of money, and of a server's load.
var (
	moneyWords = []string{"spend limit", "spending limit", "credit balance", "insufficient balance", "insufficient credits",
		"billing hard limit", "account is not active"}
	loadWords = []string{"overload", "high demand", "high load", "high traffic", "at capacity", "over capacity",
		"too busy", "server is busy", "servers are busy"}
)

const (
	statusFlex       = 498 // Groq's flex tier has no capacity
	statusOverloaded = 529 // Anthropic's, and of others after it
)

// kind goes by the code, then the type, then the status and the message: proxies that
// rewrite a body tend to keep the code.
func (r *Throttle) kind(status int, f *fault) Kind {
	word := kindOf(r.Code)
	if k := kindOf(r.Type); word == Other || word == RateLimit && k != Other {
		word = k
	}
	if word != Other && word != RateLimit {
		return word
	}
	rate := word == RateLimit || status == http.StatusTooManyRequests
	text := strings.ToLower(r.Message)
	switch {
	case status == http.StatusPaymentRequired, r.Code == "402":
		return Quota
	case strings.Contains(text, "exceeded your current quota") && !f.detailed && word != RateLimit && r.RetryAfter == 0,
		status >= 400 && contains(text, moneyWords...):
		return Quota
	case status == statusFlex:
		return Unavailable
	case status == statusOverloaded, r.Code == "529",
		r.Limit < 0 && (rate || status >= 500 || status < 400) && contains(text, loadWords...),
		!rate && status == http.StatusServiceUnavailable && r.RetryAfter > 0:
		return Overloaded
	case !rate:
		return Other
	case strings.HasPrefix(text, "request too large"), status == http.StatusRequestEntityTooLarge,
		r.Limit >= 0 && max(r.Requested, 1) > r.Limit:
		return TooLarge
	}
	return RateLimit
}

func contains(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(s string) bool { return strings.Contains(text, s) })
}

// subject finds what the throttle is about. The message comes first: the type of
// a throttle about images or requests per day is "requests" too. azure is the
// x-ratelimit-type header.
func (r *Throttle) subject(azure string, f *fault) (Dimension, time.Duration) {
	if d, period := subjectOf(f.quotaID); d != Unknown {
		return d, period
	}
	for _, s := range [...]struct {
		unit      string
		dimension Dimension
	}{
		{"tokens per ", Tokens}, {"requests per ", Requests}, {"images per ", Images},
	} {
		if _, after, ok := strings.Cut(r.Message, s.unit); ok {
			switch {
			case strings.HasPrefix(after, "min"):
				return s.dimension, minute
			case strings.HasPrefix(after, "day"):
				return s.dimension, day
			}
		}
	}
	switch {
	case r.Type == "tokens", strings.EqualFold(azure, "tokens"),
		strings.Contains(r.Message, "token rate limit"):
		return Tokens, 0
	case r.Type == "requests", strings.EqualFold(azure, "requests"),
		strings.Contains(r.Message, "call rate limit"):
		return Requests, 0
	}
	return Unknown, 0
}

// subjectOf reads Google's quotaId: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
// "GenerateContentInputTokensPerModelPerDay".
func subjectOf(quotaID string) (d Dimension, period time.Duration) {
	id := strings.ToLower(quotaID)
	switch {
	case strings.Contains(id, "token"):
		d = Tokens
	case strings.Contains(id, "image"):
		d = Images
	case strings.Contains(id, "request"):
		d = Requests
	}
	switch {
	case strings.Contains(id, "perday"):
		period = day
	case strings.Contains(id, "perminute"):
		period = minute
	}
	return d, period
}

// wait returns the most precise wait there is: milliseconds in the header, then the
// message, then a member of the body, then seconds in the header.
func (r *Throttle) wait(h http.Header, f *fault, now time.Time) time.Duration {
	if d, ok := retryAfterMS(h); ok && d > 0 {
		return d
	}
	if d, ok := waitIn(r.Message, now); ok {
		return d
	}
	if d, ok := spoken(strings.ToLower(f.wait), now, time.Second); ok && d > 0 {
		return d
	}
	d, _ := RetryAfter(h, now)
	return d
}

// figure finds the number after a word: "Limit 30000", "Limit: 3 / min", "Limit: 0/1min".
func figure(s, word string) (int64, bool) {
	for {
		_, after, ok := strings.Cut(s, word)
		if !ok {
			return 0, false
		}
		s = after
		digits := strings.TrimLeft(s, ": ")
		end := 0
		for end < len(digits) && (digits[end] >= '0' && digits[end] <= '9' ||
			digits[end] == ',' && end+1 < len(digits) && digits[end+1] >= '0' && digits[end+1] <= '9') {
			end++
		}
		if n, ok := parseCount(digits[:end]); ok {
			return n, true
		}
	}
}
