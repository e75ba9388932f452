package goopenai

import (
	"encoding/json"
	"fmt"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Chat is the call that CreateChatCompletion and CreateChatCompletionStream
// make of a request.
//
// Like its siblings it is charged for the body that the SDK would send. A request
// that can't be marshaled makes Acquire, Do and Delay fail. For a request that has
// no function here, such as a form with files, use [ratelimiter.JSON] or
// [ratelimiter.Cost].
func Chat(request openai.ChatCompletionRequest) ratelimiter.Call {
	return call("chat/completions", request)
}

// Completion is the call that CreateCompletion and CreateCompletionStream make
// of a request.
func Completion(request openai.CompletionRequest) ratelimiter.Call {
	return call("completions", request)
}

// Embedding is the call that CreateEmbeddings makes of a request.
func Embedding(request openai.EmbeddingRequestConverter) ratelimiter.Call {
	return call("embeddings", request.Convert())
}

// Image is the call that CreateImage makes of a request.
func Image(request openai.ImageRequest) ratelimiter.Call {
	return call("images/generations", request)
}

// Moderation is the call that Moderations makes of a request.
func Moderation(request openai.ModerationRequest) ratelimiter.Call {
	return call("moderations", request)
}

// Speech is the call that CreateSpeech makes of a request.
func Speech(request openai.CreateSpeechRequest) ratelimiter.Call {
	return call("audio/speech", request)
}

func call(path string, request any) ratelimiter.Call { return marshaled{path, request} }

// marshaled is a call whose body is what the SDK would send.
type marshaled struct {
	path    string
	request any
}

// Request implements [ratelimiter.Call].
func (m marshaled) Request() (string, []byte, error) {
	body, err := json.Marshal(m.request)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return m.path, body, nil
}

// Usage is what a chat completion, a text completion or embeddings say they
// have used.
func Usage(u openai.Usage) ratelimiter.Usage {
	return ratelimiter.Usage{
		InputTokens:  int64(u.PromptTokens),
		OutputTokens: int64(u.CompletionTokens),
		TotalTokens:  int64(u.TotalTokens),
	}
}
