package openaigo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

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
	// ratelimiter: gpt-4o: needs 31,538 tokens, the limit is 30,000 per minute (configured): shorten the input or lower max_tokens
}

// Each attempt may take its time, however long it has waited before. Here the server never
// responds, so that the time is short and there is one attempt.
func ExampleWithRequestTimeout() {
	limiter, err := ratelimiter.New(ratelimiter.WithMaxWait(10 * time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // until the client gives up
	}))
	defer server.Close()
	client := openai.NewClient(
		openaigo.WithLimiter(limiter, nil),
		openaigo.WithRequestTimeout(50*time.Millisecond), // not option.WithRequestTimeout
		option.WithMaxRetries(0), option.WithAPIKey("key"), option.WithBaseURL(server.URL+"/v1/"),
	)
	_, err = client.Embeddings.New(context.Background(), openai.EmbeddingNewParams{
		Model: "text-embedding-3-small",
		Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a lighthouse")},
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
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

// A response, acquired and settled by hand.
func ExampleResponse() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("mine"))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(openaitest.New()) // instead of OpenAI
	defer server.Close()
	client := openai.NewClient(option.WithAPIKey("key"), option.WithBaseURL(server.URL+"/v1/"))

	params := responses.ResponseNewParams{
		Model:           "gpt-5.4-mini",
		MaxOutputTokens: openai.Int(100),
		Input:           responses.ResponseNewParamsInputUnion{OfString: openai.String("Who is Joseph Conrad?")},
	}
	err = limiter.Do(context.Background(), openaigo.Response(params), func(ctx context.Context) (ratelimiter.Usage, error) {
		response, err := client.Responses.New(ctx, params)
		if err != nil {
			return ratelimiter.Usage{}, err
		}
		fmt.Println("used", response.Usage.TotalTokens)
		return openaigo.ResponseUsage(response.Usage), nil
	})
	fmt.Println(err)
	// Output:
	// used 37
	// <nil>
}

// Parameters of other kinds are calls too, each with the cost of its endpoint.
func ExampleEmbedding() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("mine"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []ratelimiter.Call{
		openaigo.Embedding(openai.EmbeddingNewParams{Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a lighthouse")}}),
		openaigo.Moderation(openai.ModerationNewParams{Model: "omni-moderation-latest", Input: openai.ModerationNewParamsInputUnion{OfString: openai.String("a lighthouse")}}),
		openaigo.Completion(openai.CompletionNewParams{Model: "davinci-002", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("Once upon")}, MaxTokens: openai.Int(10)}),
		openaigo.Image(openai.ImageGenerateParams{Model: "dall-e-3", Prompt: "a lighthouse"}),
		openaigo.Speech(openai.AudioSpeechNewParams{Model: "tts-1", Input: "a lighthouse", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}}),
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

// The usages of embeddings and images settle calls that were acquired by hand.
func ExampleEmbeddingUsage() {
	embeddings := openaigo.EmbeddingUsage(openai.CreateEmbeddingResponseUsage{PromptTokens: 3, TotalTokens: 3})
	images := openaigo.ImageUsage(openai.ImagesResponseUsage{InputTokens: 20, OutputTokens: 272, TotalTokens: 292})
	fmt.Println(embeddings.InputTokens, embeddings.OutputTokens, images.InputTokens, images.OutputTokens)
	// Output: 3 0 20 272
}
