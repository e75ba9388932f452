package wire

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// Kind is what a refusal calls for.
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
)

// Dimension is what a refusal is about.
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
// body may be cut anywhere.
func ParseThrottle(status int, h http.Header, body []byte) Throttle {
	m := NewMeter(status, "", nil)
	m.Write(body)
	r := newThrottle(status, h, m.error())
	if r.RetryAfter == 0 {
		r.RetryAfter = resetWait(h)
	}
	return r
}

func newThrottle(status int, h http.Header, f fault) Throttle {
	r := Throttle{
		Limit: -1, Used: -1, Requested: -1,
		Code: f.code, Type: f.typ, Message: f.message,
	}
	r.Dimension, r.Period = r.subject(first(h, "X-Ratelimit-Type"))
	if n, ok := figure(f.message, "Limit"); ok {
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
	r.RetryAfter = r.wait(h)
	r.Kind = r.kind(status)
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

// kind goes by the code, then the type, then the message: proxies that rewrite a body
// tend to keep the code.
func (r *Throttle) kind(status int) Kind {
	for _, word := range [...]string{r.Code, r.Type} {
		switch word {
		case "insufficient_quota", "credit_balance_exhausted", "quota_exceeded":
			return Quota
		case "slow_down":
			return SlowDown
		case "resource_unavailable":
			return Unavailable
		}
		if strings.HasPrefix(word, "billing_") {
			return Quota
		}
	}
	switch {
	case status == http.StatusPaymentRequired,
		strings.Contains(r.Message, "exceeded your current quota"):
		return Quota
	case status != http.StatusTooManyRequests && r.Type != "rate_limit_error" &&
		r.Code != "rate_limit_exceeded" && r.Code != "429":
		return Other
	case strings.HasPrefix(r.Message, "Request too large"),
		r.Limit >= 0 && max(r.Requested, 1) > r.Limit:
		return TooLarge
	}
	return RateLimit
}

// subject finds what the refusal is about. The message comes first: the type of
// a refusal about images or requests per day is "requests" too. azure is the
// x-ratelimit-type header.
func (r *Throttle) subject(azure string) (Dimension, time.Duration) {
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

// wait returns the most precise wait there is: milliseconds in the header, then the
// message, then seconds in the header.
func (r *Throttle) wait(h http.Header) time.Duration {
	if d, ok := retryAfterMS(h); ok && d > 0 {
		return d
	}
	for _, before := range [...]string{"ry again in ", "etry after "} {
		if _, after, ok := strings.Cut(r.Message, before); ok {
			if d := spoken(after); d > 0 {
				return d
			}
		}
	}
	d, _ := RetryAfter(h, time.Now())
	return d
}

// spoken reads a duration at the beginning of s: "9.816s", "7m12s", "37 seconds".
func spoken(s string) time.Duration {
	end := 0
	for end < len(s) && s[end] != ' ' && s[end] != ',' {
		end++
	}
	d, bare, ok := parseWait(strings.TrimRight(s[:end], "."))
	if !ok {
		return 0
	}
	unit := strings.TrimLeft(s[end:], " ")
	scale := time.Second
	switch {
	case !bare:
	case strings.HasPrefix(unit, "millisecond"):
		return d / 1000
	case strings.HasPrefix(unit, "minute"):
		scale = time.Minute
	case strings.HasPrefix(unit, "hour"):
		scale = time.Hour
	case strings.HasPrefix(unit, "day"):
		scale = day
	}
	if d > maxWait/(scale/time.Second) {
		return 0
	}
	return d * (scale / time.Second)
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
