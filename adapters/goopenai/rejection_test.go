package goopenai_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// With WithRejectionResponses the SDK sees an error of the API, also as a stream begins.
func TestRejectionResponses(t *testing.T) {
	l, err := ratelimiter.New(ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 10}), ratelimiter.WithRejectionResponses())
	if err != nil {
		t.Fatal(err)
	}
	config := openai.DefaultConfig("key")
	config.HTTPClient = &http.Client{Transport: openaitest.New().Direct()}
	c := openai.NewClientWithConfig(goopenai.WithLimiter(config, l))
	request := openai.ChatCompletionRequest{
		Model: "gpt-4o", MaxTokens: 20, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Hello"}},
	}
	_, plain := c.CreateChatCompletion(t.Context(), request)
	_, stream := c.CreateChatCompletionStream(t.Context(), request)
	for _, err := range []error{plain, stream} {
		var api *openai.APIError
		if !errors.As(err, &api) || api.HTTPStatusCode != 429 || api.Code != "too_large" || api.Type != "ratelimiter" ||
			!strings.HasPrefix(api.Message, "ratelimiter: gpt-4o: needs 28 tokens, the limit is 10 per minute") {
			t.Errorf("error %v (%+v)", err, api)
		}
	}
}
