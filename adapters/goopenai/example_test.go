package goopenai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// One line, and the client waits instead of being refused. The Timeout does not
// include the wait.
func Example() {
	limiter, err := ratelimiter.New() // limits are learned from the server
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(openaitest.New()) // instead of OpenAI
	defer server.Close()

	config := openai.DefaultConfig("key")
	config.BaseURL = server.URL + "/v1"
	config.HTTPClient = &http.Client{Timeout: time.Minute}
	client := openai.NewClientWithConfig(goopenai.WithLimiter(config, limiter))

	answer, err := client.CreateChatCompletion(context.Background(), openai.ChatCompletionRequest{
		Model:               "gpt-4o",
		MaxCompletionTokens: 20,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Tell me a joke"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Choices[0].Message.Content)
	// Output:
	// yes and now the sky
}

// What the limiter rejects is found in the SDK's error.
func ExampleWithLimiter_rejection() {
	limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := openai.NewClientWithConfig(goopenai.WithLimiter(openai.DefaultConfig("key"), limiter))
	_, err = client.CreateChatCompletion(context.Background(), openai.ChatCompletionRequest{
		Model:               "gpt-4o",
		MaxCompletionTokens: 31_526,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Who is Joseph Conrad?"}},
	})
	fmt.Println(errors.Is(err, ratelimiter.ErrTooLarge))
	var rejection *ratelimiter.Error
	if errors.As(err, &rejection) {
		fmt.Println(rejection)
	}
	// Output:
	// true
	// ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 per minute (configured): shorten the input or lower max_tokens
}

// The limiter without its Transport: the SDK's request says what a call will
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
	config := openai.DefaultConfig("key")
	config.BaseURL = server.URL + "/v1"
	client := openai.NewClientWithConfig(config)

	request := openai.ChatCompletionRequest{
		Model:               "gpt-4o",
		MaxCompletionTokens: 100,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Who is Joseph Conrad?"}},
	}
	err = limiter.Do(context.Background(), goopenai.Chat(request), func(ctx context.Context) (ratelimiter.Usage, error) {
		answer, err := client.CreateChatCompletion(ctx, request)
		fmt.Println("used", answer.Usage.TotalTokens)
		return goopenai.Usage(answer.Usage), err
	})
	fmt.Println(err)
	// Output:
	// used 37
	// <nil>
}

// Requests of other kinds are calls too, each with the cost of its endpoint.
func ExampleEmbedding() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("mine"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []ratelimiter.Call{
		goopenai.Embedding(openai.EmbeddingRequest{Model: "text-embedding-3-small", Input: []string{"a lighthouse"}}),
		goopenai.Moderation(openai.ModerationRequest{Model: "omni-moderation-latest", Input: "a lighthouse"}),
		goopenai.Completion(openai.CompletionRequest{Model: "davinci-002", Prompt: "Once upon", MaxTokens: 10}),
		goopenai.Image(openai.ImageRequest{Model: "dall-e-3", Prompt: "a lighthouse", N: 1}),
		goopenai.Speech(openai.CreateSpeechRequest{Model: "tts-1", Input: "a lighthouse", Voice: openai.VoiceAlloy}),
	} {
		r, err := limiter.Acquire(context.Background(), call)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%+v\n", r.Cost())
		r.Cancel() // it is not made here
	}
	// Output:
	// {Model:text-embedding-3-small Requests:1 Tokens:3 Images:0}
	// {Model:omni-moderation-latest Requests:1 Tokens:2 Images:0}
	// {Model:davinci-002 Requests:1 Tokens:12 Images:0}
	// {Model:dall-e-3 Requests:1 Tokens:0 Images:1}
	// {Model:tts-1 Requests:1 Tokens:2 Images:0}
}
