package openaitest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// obj is a JSON object that is written rarely enough not to need a type.
type obj = map[string]any

// A payload is a response's body in the parts in which it is sent: one for
// JSON, one per event or group of events for a stream.
type payload struct {
	contentType string
	parts       [][]byte
}

const (
	typeJSON   = "application/json"
	typeStream = "text/event-stream; charset=utf-8"
)

func jsonPayload(v any) payload {
	return payload{typeJSON, [][]byte{marshal(v)}}
}

// marshal encodes what this package made: it cannot fail.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// payload returns the body of a successful answer.
func (a *Answer) payload(c *Call) payload {
	switch c.Endpoint {
	case "chat/completions":
		if c.Stream {
			return a.chatStream(c)
		}
		return jsonPayload(a.chat(c))
	case "completions":
		if c.Stream {
			return a.completionStream(c)
		}
		return jsonPayload(a.completion(c))
	case "responses":
		if c.Stream {
			return a.responseStream(c)
		}
		return jsonPayload(a.response(c, a.responseStatus(c)))
	case "responses/compact":
		return jsonPayload(obj{
			"id": c.id("resp_"), "object": "response.compaction", "created_at": c.created(),
			"output": []any{obj{"id": c.id("cmp_"), "type": "compaction", "encrypted_content": "c3VtbWFyeQ=="}},
			"usage":  a.responseUsage(c),
		})
	case "responses/input_tokens":
		return jsonPayload(obj{"object": "response.input_tokens", "input_tokens": c.PromptTokens})
	case "embeddings":
		return jsonPayload(a.embeddings(c))
	case "moderations":
		return jsonPayload(moderations(c))
	case "decisions":
		r := obj{"object": "decision", "model": c.Model, "answers": []any{}}
		if !a.NoUsage {
			r["usage"] = obj{"input_tokens": c.PromptTokens, "output_tokens": 0, "total_tokens": c.PromptTokens}
		}
		return jsonPayload(r)
	case agentSessions:
		return jsonPayload(obj{"id": c.id("sess_"), "object": "agent.session", "created_at": c.created(), "model": c.Model, "status": "in_progress"})
	case agentEvents:
		return jsonPayload(obj{"id": c.id("evt_"), "object": "agent.session.event", "created_at": c.created()})
	case agentInvocations:
		return jsonPayload(obj{"id": c.id("inv_"), "object": "agent.automation.invocation", "created_at": c.created(), "status": "queued"})
	case "images/generations", "images/edits", "images/variations":
		if c.Stream {
			return a.imageStream(c)
		}
		return jsonPayload(a.images(c))
	case "audio/transcriptions", "audio/translations":
		return a.transcription(c)
	case "audio/speech":
		return a.speech(c)
	}
	panic("openaitest: no answer for " + c.Endpoint)
}

func (c *Call) id(prefix string) string { return fmt.Sprintf("%s%012d", prefix, c.Seq) }

func (c *Call) created() int64 { return c.Arrived.Unix() }

// gptImage reports whether the model is one of those that count tokens for
// images and stream them.
func (c *Call) gptImage() bool { return !strings.HasPrefix(c.Model, "dall-e") }

// A chatCompletion is also a chunk of one, and a legacy completion: they differ
// in the choices.
type chatCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *chatUsage   `json:"usage,omitempty"`
}

type chatChoice struct {
	Index        int64        `json:"index"`
	Message      *chatMessage `json:"message,omitempty"`
	Delta        *chatMessage `json:"delta,omitempty"`
	Text         *string      `json:"text,omitempty"`
	Logprobs     *struct{}    `json:"logprobs"`
	FinishReason *string      `json:"finish_reason"`
}

type chatMessage struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatUsage struct {
	PromptTokens     int64          `json:"prompt_tokens"`
	CompletionTokens int64          `json:"completion_tokens"`
	TotalTokens      int64          `json:"total_tokens"`
	PromptDetails    cachedTokens   `json:"prompt_tokens_details"`
	OutputDetails    reasonedTokens `json:"completion_tokens_details"`
}

type cachedTokens struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type reasonedTokens struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func (a *Answer) chatUsage(c *Call) *chatUsage {
	if a.NoUsage {
		return nil
	}
	out := a.output(c)
	return &chatUsage{
		PromptTokens: c.PromptTokens, CompletionTokens: out, TotalTokens: c.PromptTokens + out,
		PromptDetails: cachedTokens{a.CachedTokens}, OutputDetails: reasonedTokens{a.ReasoningTokens},
	}
}

func (a *Answer) finishReason(c *Call) *string {
	reason := "stop"
	if a.full(c) {
		reason = "length"
	}
	return &reason
}

func (a *Answer) chat(c *Call) *chatCompletion {
	choices := make([]chatChoice, c.n)
	for i := range choices {
		choices[i] = chatChoice{
			Index:   int64(i),
			Message: &chatMessage{Role: "assistant", Content: &a.Text}, FinishReason: a.finishReason(c),
		}
	}
	return &chatCompletion{
		ID: c.id("chatcmpl-"), Object: "chat.completion", Created: c.created(), Model: c.Model,
		Choices: choices, Usage: a.chatUsage(c),
	}
}

// textChoices is how many choices a legacy completion has: n for each prompt.
func (c *Call) textChoices() int64 { return c.n * int64(max(c.inputs, 1)) }

func (a *Answer) completion(c *Call) *chatCompletion {
	choices := make([]chatChoice, c.textChoices())
	for i := range choices {
		choices[i] = chatChoice{Index: int64(i), Text: &a.Text, FinishReason: a.finishReason(c)}
	}
	return &chatCompletion{
		ID: c.id("cmpl-"), Object: "text_completion", Created: c.created(), Model: c.Model,
		Choices: choices, Usage: a.chatUsage(c),
	}
}

func (a *Answer) responseStatus(c *Call) string {
	switch {
	case c.Background:
		return "queued"
	case a.full(c):
		return "incomplete"
	}
	return "completed"
}

func (a *Answer) responseUsage(c *Call) any {
	if a.NoUsage {
		return nil
	}
	out := a.output(c)
	return obj{
		"input_tokens": c.PromptTokens, "input_tokens_details": obj{"cached_tokens": a.CachedTokens},
		"output_tokens": out, "output_tokens_details": obj{"reasoning_tokens": a.ReasoningTokens},
		"total_tokens": c.PromptTokens + out,
	}
}

// response returns the response object in one of its states.
func (a *Answer) response(c *Call, status string) obj {
	r := obj{
		"id": c.id("resp_"), "object": "response", "created_at": c.created(), "model": c.Model,
		"status": status, "background": c.Background, "error": nil, "incomplete_details": nil,
		"output": []any{}, "parallel_tool_calls": true, "tools": []any{}, "usage": nil,
	}
	switch status {
	case "completed":
		r["output"] = []any{a.responseItem(c, status)}
		r["usage"] = a.responseUsage(c)
	case "incomplete":
		r["output"] = []any{a.responseItem(c, status)}
		r["usage"] = a.responseUsage(c)
		r["incomplete_details"] = obj{"reason": "max_output_tokens"}
	case "failed":
		e := a.errorObject()
		r["error"] = obj{"code": e.Code, "message": e.Message}
		r["usage"] = a.responseUsage(c)
	}
	return r
}

func (a *Answer) responseItem(c *Call, status string) obj {
	return obj{
		"id": c.id("msg_"), "type": "message", "role": "assistant", "status": status,
		"content": []any{a.responsePart(a.Text)},
	}
}

func (a *Answer) responsePart(text string) obj {
	return obj{"type": "output_text", "text": text, "annotations": []any{}}
}

func (a *Answer) embeddings(c *Call) obj {
	data := make([]any, max(c.inputs, 1))
	for i := range data {
		data[i] = obj{"object": "embedding", "index": i, "embedding": c.embedding()}
	}
	r := obj{"object": "list", "model": c.Model, "data": data}
	if !a.NoUsage {
		r["usage"] = obj{"prompt_tokens": c.PromptTokens, "total_tokens": c.PromptTokens}
	}
	return r
}

// embedding is (0.5, -0.5, 0.5, -0.5), as numbers or as base64 of little-endian
// float32s.
func (c *Call) embedding() any {
	if c.encodingFormat == "base64" {
		return "AAAAPwAAAL8AAAA/AAAAvw=="
	}
	return []float32{0.5, -0.5, 0.5, -0.5}
}

func moderations(c *Call) obj {
	results := make([]any, max(c.inputs, 1))
	for i := range results {
		results[i] = obj{
			"flagged": false, "categories": obj{"violence": false},
			"category_scores": obj{"violence": 0.001}, "category_applied_input_types": obj{"violence": []string{"text"}},
		}
	}
	return obj{"id": c.id("modr-"), "model": c.Model, "results": results}
}

// pixel is a PNG of one pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func (a *Answer) images(c *Call) obj {
	data := make([]any, c.n)
	for i := range data {
		if c.gptImage() || c.responseFormat == "b64_json" {
			data[i] = obj{"b64_json": pixel}
		} else {
			data[i] = obj{"url": fmt.Sprintf("https://images.invalid/%s-%d.png", c.id("img_"), i)}
		}
	}
	r := obj{"created": c.created(), "data": data}
	if c.gptImage() && !a.NoUsage {
		r["usage"] = a.imageUsage(c)
	}
	return r
}

func (a *Answer) imageUsage(c *Call) obj {
	out := a.output(c)
	return obj{
		"input_tokens": c.PromptTokens, "output_tokens": out, "total_tokens": c.PromptTokens + out,
		"input_tokens_details": obj{"text_tokens": c.PromptTokens, "image_tokens": 0},
	}
}

func (a *Answer) tokenUsage(c *Call) obj {
	out := a.output(c)
	return obj{
		"type": "tokens", "input_tokens": c.PromptTokens, "output_tokens": out, "total_tokens": c.PromptTokens + out,
		"input_token_details": obj{"text_tokens": 0, "audio_tokens": c.PromptTokens},
	}
}

func (a *Answer) transcription(c *Call) payload {
	if c.Stream {
		return a.transcriptStream(c)
	}
	transcribes := c.Endpoint == "audio/transcriptions"
	switch c.responseFormat {
	case "text", "srt", "vtt":
		return payload{"text/plain; charset=utf-8", [][]byte{[]byte(a.Text + "\n")}}
	case "verbose_json":
		r := obj{"task": "transcribe", "language": "english", "duration": 3.5, "text": a.Text, "segments": []any{}}
		if transcribes && !a.NoUsage {
			r["usage"] = obj{"type": "duration", "seconds": 4}
		}
		return jsonPayload(r)
	}
	whisper := strings.HasPrefix(c.Model, "whisper")
	r := obj{"text": a.Text}
	switch {
	case !transcribes || a.NoUsage:
	case whisper:
		r["usage"] = obj{"type": "duration", "seconds": 4}
	default:
		r["usage"] = a.tokenUsage(c)
	}
	return jsonPayload(r)
}

// sound is the start of an MP3.
var sound = []byte("\xff\xfb\x90\x00openaitest openaitest openaitest openaitest")

func (a *Answer) speech(c *Call) payload {
	if c.Stream {
		return a.speechStream(c)
	}
	return payload{"audio/mpeg", [][]byte{sound}}
}

// An errorBody is the body of a failed response, and an error event's data.
type errorBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    *string `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

func (e Error) body() *errorBody {
	b := new(errorBody)
	b.Error.Message = e.Message
	if e.Type != "" {
		b.Error.Type = &e.Type
	}
	if e.Code != "" {
		b.Error.Code = &e.Code
	}
	return b
}

// bytes returns the error as a response's body.
func (e Error) bytes() []byte { return marshal(e.body()) }
