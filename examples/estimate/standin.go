package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// standIn returns what sends the requests: nil, which means over the network, where
// there is a key; else a stand-in for the API.
func standIn() (http.RoundTripper, error) {
	const key = "OPENAI_API_KEY"
	if os.Getenv(key) != "" {
		return nil, nil
	}
	os.Setenv(key, "none")
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("the stand-in's"))
	if err != nil {
		return nil, err
	}
	return openaitest.New(openaitest.WithAnswer((&counter{limiter: limiter}).answer)).Direct(), nil
}

// A counter counts the usage of calls that come one after the other.
type counter struct {
	limiter *ratelimiter.Limiter
	context int64 // of the last response, for the one that continues it
}

func (k *counter) answer(c *openaitest.Call) openaitest.Answer {
	var body map[string]any
	if json.Unmarshal(c.Body, &body) != nil {
		return openaitest.Answer{} // the stand-in says what is wrong
	}
	const output = 20
	_, continues := body["previous_response_id"]
	delete(body, "previous_response_id")
	if !continues {
		k.context = 0
	}
	input := k.count(c.Endpoint, body) + k.context
	delete(body, "instructions") // which do not carry over
	k.context += k.count(c.Endpoint, body) + output
	return openaitest.Answer{PromptTokens: input, OutputTokens: output}
}

// count returns the input tokens of a body, by a reservation that is given back.
func (k *counter) count(endpoint string, body map[string]any) (input int64) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0
	}
	ctx := ratelimiter.ContextWithTrace(context.Background(), &ratelimiter.Trace{
		Settled: func(_ context.Context, i ratelimiter.SettledInfo) { input = i.Estimate.InputTokens },
	})
	r, err := k.limiter.Acquire(ctx, ratelimiter.JSON(endpoint, encoded))
	if err != nil {
		return 0
	}
	r.Cancel()
	return input
}
