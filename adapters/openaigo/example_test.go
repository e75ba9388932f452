package openaigo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// One option, and the client waits instead of being refused.
func Example() {
	limiter, err := ratelimiter.New() // limits are learned from the server
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(openaitest.New()) // instead of OpenAI
	defer server.Close()

	client := openai.NewClient(
		openaigo.WithLimiter(limiter, nil),
		option.WithAPIKey("key"), option.WithBaseURL(server.URL+"/v1/"),
	)
	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:               "gpt-4o",
		MaxCompletionTokens: openai.Int(20),
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me a joke")},
	})
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			fmt.Print(choice.Delta.Content)
		}
	}
	fmt.Println()
	fmt.Println(stream.Err())
	// Output:
	// yes and now the sky
	// <nil>
}

// What the limiter rejects is found in the SDK's error.
func ExampleWithLimiter_rejection() {
	limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := openai.NewClient(openaigo.WithLimiter(limiter, nil), option.WithAPIKey("key"))
	_, err = client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:               "gpt-4o",
		MaxCompletionTokens: openai.Int(31_526),
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Who is Joseph Conrad?")},
	})
	fmt.Println(errors.Is(err, ratelimiter.ErrTooLarge))
	var rejection *ratelimiter.Error
	if errors.As(err, &rejection) {
		fmt.Println(rejection.Need, "of", rejection.Limit, rejection.Unit)
	}
	fmt.Println(err)
	// Output:
	// true
	// 31538 of 30000 tokens
	// ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 (configured): shorten the input or lower max_tokens
}

// Each attempt may take half a minute, however long it has waited before.
func ExampleWithRequestTimeout() {
	limiter, err := ratelimiter.New(ratelimiter.WithMaxWait(10 * time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := openai.NewClient(
		openaigo.WithLimiter(limiter, nil),
		openaigo.WithRequestTimeout(30*time.Second), // not option.WithRequestTimeout
	)
	_ = client
}

// The limiter without its Transport: the SDK's parameters say what a call will
// cost, its answer what it did.
func ExampleChat() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("mine"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(openaitest.New()) // instead of OpenAI
	defer server.Close()
	client := openai.NewClient(option.WithAPIKey("key"), option.WithBaseURL(server.URL+"/v1/"))

	params := openai.ChatCompletionNewParams{
		Model:               "gpt-4o",
		MaxCompletionTokens: openai.Int(100),
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Who is Joseph Conrad?")},
	}
	ctx := context.Background()
	reservation, err := limiter.Acquire(ctx, openaigo.Chat(params))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reservation.Cancel()
	fmt.Println("reserved", reservation.Cost().Tokens)
	answer, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		fmt.Println(err)
		return
	}
	reservation.Settle(openaigo.Usage(answer.Usage))
	fmt.Println("used", answer.Usage.TotalTokens)
	// Output:
	// reserved 112
	// used 37
}
