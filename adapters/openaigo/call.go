package openaigo

import (
	"encoding/json"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Chat is the call that Chat.Completions.New and NewStreaming make of params.
//
// Like its siblings it is charged for the body that the SDK would send, without
// what options such as option.WithJSONSet add to it. Parameters that can't be
// marshaled make Acquire, Do and Delay fail. For a request that has no function
// here, such as a form with files, use [ratelimiter.JSON] or [ratelimiter.Cost].
func Chat(params openai.ChatCompletionNewParams) ratelimiter.Call {
	return call("chat/completions", params)
}

// Completion is the call that Completions.New and NewStreaming make of params.
func Completion(params openai.CompletionNewParams) ratelimiter.Call {
	return call("completions", params)
}

// Response is the call that Responses.New and NewStreaming make of params.
func Response(params responses.ResponseNewParams) ratelimiter.Call {
	return call("responses", params)
}

// Embedding is the call that Embeddings.New makes of params.
func Embedding(params openai.EmbeddingNewParams) ratelimiter.Call {
	return call("embeddings", params)
}

// Image is the call that Images.Generate and GenerateStreaming make of params.
func Image(params openai.ImageGenerateParams) ratelimiter.Call {
	return call("images/generations", params)
}

// Moderation is the call that Moderations.New makes of params.
func Moderation(params openai.ModerationNewParams) ratelimiter.Call {
	return call("moderations", params)
}

// Speech is the call that Audio.Speech.New makes of params.
func Speech(params openai.AudioSpeechNewParams) ratelimiter.Call {
	return call("audio/speech", params)
}

func call(path string, params json.Marshaler) ratelimiter.Call { return marshaled{path, params} }

// marshaled is a call whose body is what the SDK would send.
type marshaled struct {
	path   string
	params json.Marshaler
}

// Request implements [ratelimiter.Call].
func (m marshaled) Request() (string, []byte, error) {
	body, err := m.params.MarshalJSON()
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", m.path, err)
	}
	return m.path, body, nil
}

// Usage is what a chat completion or a text completion says it has used.
func Usage(u openai.CompletionUsage) ratelimiter.Usage {
	return ratelimiter.Usage{InputTokens: u.PromptTokens, OutputTokens: u.CompletionTokens, TotalTokens: u.TotalTokens}
}

// ResponseUsage is what a response says it has used.
func ResponseUsage(u responses.ResponseUsage) ratelimiter.Usage {
	return ratelimiter.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, TotalTokens: u.TotalTokens}
}

// EmbeddingUsage is what a response with embeddings says it has used.
func EmbeddingUsage(u openai.CreateEmbeddingResponseUsage) ratelimiter.Usage {
	return ratelimiter.Usage{InputTokens: u.PromptTokens, TotalTokens: u.TotalTokens}
}

// ImageUsage is what a response with images says it has used. DALL·E reports nothing.
func ImageUsage(u openai.ImagesResponseUsage) ratelimiter.Usage {
	return ratelimiter.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, TotalTokens: u.TotalTokens}
}
