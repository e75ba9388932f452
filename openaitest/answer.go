package openaitest

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// An Answer is what a call is answered with if it is admitted. The zero Answer
// is a success whose output is a quarter of what the call declares, at least 1
// and at most 256 tokens a choice, or 24 where nothing is declared.
type Answer struct {
	// OutputTokens is the output of each choice. It is cut to what the call
	// declares; the answer then says that it stopped for its length. Zero means
	// a quarter of Text's length, or the default.
	OutputTokens int64
	// Text is the output of each choice. Empty means OutputTokens words of four
	// characters, space included.
	Text string
	// PromptTokens is what usage says about the prompt. Zero means what the call
	// has in its own PromptTokens.
	PromptTokens int64
	// ReasoningTokens and CachedTokens are stated in usage, as parts of the
	// output and of the prompt. They change nothing else.
	ReasoningTokens, CachedTokens int64
	// Deltas is into how many pieces a stream cuts each choice's text. Zero
	// means 8, or one per token if these are fewer.
	Deltas int
	// NoUsage leaves usage out.
	NoUsage bool

	// Status of 400 or more answers with Error; any other means 200. A 429 throttles
	// the call at the door, without asking the buckets; it counts as a throttled
	// request. Any other error comes after the call was admitted and charged.
	Status int
	// Error is the error object; the zero Error means what is usual for Status:
	// for 429 a rate limit on tokens.
	Error Error
	// RetryAfter of an error is stated in both headers; zero leaves them out,
	// except on a 429 without Error, where it means one second.
	RetryAfter time.Duration
	// InStream sends the error as an event inside a stream that began with 200,
	// halfway. It has no effect on calls that are not streamed.
	InStream bool

	// Stall pauses the response once After bytes of its body are out, Cut then
	// breaks the connection. With After zero both happen before the headers.
	// Nothing happens where the body is not longer than After.
	After int
	Stall time.Duration
	Cut   bool
}

// Error is an error object as in the body of a failed response.
type Error struct {
	Message, Type, Code string
}

// InsufficientQuota answers with the 429 of an account that has run out of
// money. It states no time to retry after.
func InsufficientQuota() Answer {
	return Answer{Status: http.StatusTooManyRequests, Error: Error{
		Message: "You exceeded your current quota, please check your plan and billing details.",
		Type:    "insufficient_quota", Code: "insufficient_quota",
	}}
}

// SlowDown answers with the 429 of traffic that grew too fast, although within
// its limits.
func SlowDown(retryAfter time.Duration) Answer {
	return Answer{Status: http.StatusTooManyRequests, RetryAfter: retryAfter, Error: Error{
		Message: "Slow down: your request rate has increased too quickly. Please reduce it and ramp up gradually.",
		Type:    "rate_limit_error", Code: "slow_down",
	}}
}

// failed reports whether the answer is an error, in or instead of a stream.
func (a *Answer) failed() bool { return a.Status >= 400 }

// atDoor reports whether the answer throttles the call before its admission.
func (a *Answer) atDoor(c *Call) bool {
	return a.Status == http.StatusTooManyRequests && !(a.InStream && c.Stream)
}

// errorObject returns the error of a failed answer.
func (a *Answer) errorObject() Error {
	if a.Error != (Error{}) {
		return a.Error
	}
	switch a.Status {
	case http.StatusUnauthorized:
		return Error{"Incorrect API key provided.", "invalid_request_error", "invalid_api_key"}
	case http.StatusServiceUnavailable:
		return Error{"The engine is currently overloaded, please try again later", "server_error", "service_unavailable"}
	}
	if a.Status < 500 {
		return Error{"The request was not accepted.", "invalid_request_error", ""}
	}
	return Error{"The server had an error while processing your request. Sorry about that!", "server_error", "server_error"}
}

// settle fills in what the answer leaves to defaults, for a call.
func (a *Answer) settle(c *Call) {
	if a.PromptTokens > 0 {
		c.PromptTokens = a.PromptTokens
	}
	if a.OutputTokens <= 0 {
		a.OutputTokens = int64(len(a.Text)+3) / 4
	}
	if a.OutputTokens == 0 {
		if c.Declared > 0 {
			a.OutputTokens = min(max(c.Declared/4, 1), 256)
		} else {
			a.OutputTokens = 24
		}
	}
	if c.Declared > 0 {
		a.OutputTokens = min(a.OutputTokens, c.Declared)
	}
	if a.Text == "" {
		a.Text = words(a.OutputTokens)
	}
	if a.Deltas <= 0 {
		a.Deltas = int(min(a.OutputTokens, 8))
	}
}

var manyWords = strings.Repeat(" yes and now the sky has one red sun", 1<<11)

// words returns n words of four characters.
func words(n int64) string {
	size := int(4 * n)
	if len(manyWords) < size {
		return strings.Repeat(manyWords, size/len(manyWords)+1)[:size]
	}
	return manyWords[:size]
}

// output is the usage's output of all choices.
func (a *Answer) output(c *Call) int64 {
	switch {
	case c.Endpoint == "completions":
		return a.OutputTokens * c.Choices * int64(max(c.inputs, 1))
	case c.generatesText() || c.Endpoint == "responses/compact":
		return a.OutputTokens * c.Choices
	case strings.HasPrefix(c.Endpoint, "images/"):
		return 272 * c.n
	case c.Endpoint == "audio/transcriptions" || c.Endpoint == "audio/speech":
		return a.OutputTokens
	}
	return 0
}

// full reports whether the answer stopped because it reached what was declared.
func (a *Answer) full(c *Call) bool { return c.Declared > 0 && a.OutputTokens >= c.Declared }

// pieces cuts the text into deltas.
func (a *Answer) pieces() []string {
	n := max(1, a.Deltas)
	pieces := make([]string, 0, n)
	from := 0
	for i := range n {
		to := (i + 1) * len(a.Text) / n
		for to < len(a.Text) && !utf8.RuneStart(a.Text[to]) {
			to++
		}
		pieces = append(pieces, a.Text[from:to])
		from = to
	}
	return pieces
}

// status returns the status of the response's head.
func (a *Answer) status(c *Call) int {
	if a.failed() && !(a.InStream && c.Stream) {
		return a.Status
	}
	return http.StatusOK
}
