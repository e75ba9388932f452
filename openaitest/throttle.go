package openaitest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// organization is what the messages of 429s name.
const organization = "org-openaitest"

// message returns a 429's message, in the words that were captured.
func (r *throttle) message(model string) string {
	if r.never {
		return fmt.Sprintf("Request too large for %s in organization %s on %s: Limit %d, Requested %d. "+
			"The input or output tokens must be reduced in order to run successfully. "+
			"Visit https://platform.openai.com/account/rate-limits to learn more.",
			model, organization, limitFacts[r.limit].words, r.capacity, r.requested)
	}
	return fmt.Sprintf("Rate limit reached for %s in organization %s on %s: Limit %d, Used %d, Requested %d. "+
		"Please try again in %v. Visit https://platform.openai.com/account/rate-limits to learn more.",
		model, organization, limitFacts[r.limit].words, r.capacity, r.used, r.requested, ceil(r.wait, time.Millisecond))
}

// error returns the 429's error object. The type is "tokens" for tokens and
// "requests" for all else, images too.
func (r *throttle) error(model string) Error {
	kind := "requests"
	if r.limit.dimension() == tokens {
		kind = "tokens"
	}
	return Error{Message: r.message(model), Type: kind, Code: "rate_limit_exceeded"}
}

// concurrent returns the error object of a 429 about calls in flight. OpenAI has none; the
// words are Moonshot's.
func (r *throttle) concurrent(model string) Error {
	return Error{
		Message: fmt.Sprintf("Your account %s request for %s reached max organization concurrency: %d, please try again after 1 seconds",
			organization, model, r.capacity),
		Type: "rate_limit_reached_error",
	}
}

// azureError returns the error object of Azure's 429.
func (r *throttle) azureError(c *Call) Error {
	kind := "call"
	if r.limit.dimension() == tokens {
		kind = "token"
	}
	return Error{
		Message: fmt.Sprintf("Requests to the %s Operation under Azure OpenAI API version %s have exceeded %s rate limit "+
			"of your current OpenAI S0 pricing tier. Please retry after %d seconds.",
			azureOperation(c.Endpoint), c.Request.URL.Query().Get("api-version"), kind, ceil(r.wait, time.Second)/time.Second),
		Code: "429",
	}
}

func azureOperation(endpoint string) string {
	switch endpoint {
	case "chat/completions":
		return "ChatCompletions_Create"
	case "embeddings":
		return "Embeddings_Create"
	case "images/generations":
		return "ImageGenerations_Create"
	}
	return "Completions_Create"
}

// setRetry writes Retry-After and its like. What can never fit names no time.
func (s *Server) setRetry(h http.Header, c *Call, r *throttle) {
	if r.never {
		return
	}
	h["Retry-After"] = []string{strconv.FormatInt(int64(ceil(r.wait, time.Second)/time.Second), 10)}
	if !s.azure(c) {
		h["Retry-After-Ms"] = []string{strconv.FormatInt(ceil(r.wait, time.Millisecond).Milliseconds(), 10)}
		return
	}
	h["Retry-After-Ms"] = []string{"0"} // as captured, whatever Retry-After says
	h["X-Ratelimit-Renewalperiod-Requests"] = []string{"60"}
	h["X-Ratelimit-Renewalperiod-Tokens"] = []string{"60"}
	kind := "Requests"
	if r.limit.dimension() == tokens {
		kind = "Tokens"
	}
	h["X-Ratelimit-Type"] = []string{kind}
}

// ceil rounds d up to a multiple of unit.
func ceil(d, unit time.Duration) time.Duration {
	if t := d.Truncate(unit); t < d {
		return t + unit
	}
	return d
}
