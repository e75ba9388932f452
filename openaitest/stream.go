package openaitest

import (
	"encoding/base64"
	"strings"
)

// done is how chat completions, and completions, end their stream. Others do
// not send it.
const done = "data: [DONE]\n\n"

// event appends a server-sent event; name is empty where the endpoint names
// none.
func event(b []byte, name string, data any) []byte {
	if name != "" {
		b = append(b, "event: "...)
		b = append(b, name...)
		b = append(b, '\n')
	}
	b = append(b, "data: "...)
	b = append(b, marshal(data)...)
	return append(b, "\n\n"...)
}

// A chatChunk states usage even where it is null, once the client asked for it.
type chatChunk struct {
	chatCompletion
	Usage *chatUsage `json:"usage"`
}

// chunk returns the event of one chat or completion chunk.
func (c *Call) chunk(usage *chatUsage, choices ...chatChoice) []byte {
	x := chatCompletion{
		ID: c.id("chatcmpl-"), Object: "chat.completion.chunk", Created: c.created(), Model: c.Model,
		Choices: choices,
	}
	if c.Endpoint == "completions" {
		x.ID, x.Object = c.id("cmpl-"), "text_completion"
	}
	if choices == nil {
		x.Choices = []chatChoice{}
	}
	if c.IncludeUsage {
		return event(nil, "", &chatChunk{x, usage})
	}
	return event(nil, "", &x)
}

// chunkStream returns the parts of a chat or completion stream: what opens each
// choice, if anything does, its pieces of text, its end, the usage if the client
// asked for it, and the mark that ends the stream.
func (a *Answer) chunkStream(c *Call, choices int64, opening *chatChoice, piece func(string) chatChoice, ending chatChoice) payload {
	each := func(choice chatChoice) []byte {
		var part []byte
		for choice.Index = range choices {
			part = append(part, c.chunk(nil, choice)...)
		}
		return part
	}
	var parts [][]byte
	if opening != nil {
		parts = append(parts, each(*opening))
	}
	for _, text := range a.pieces() {
		parts = append(parts, each(piece(text)))
	}
	ending.FinishReason = a.finishReason(c)
	last := each(ending)
	if c.IncludeUsage && !a.NoUsage {
		last = append(last, c.chunk(a.chatUsage(c))...)
	}
	return payload{typeStream, append(parts, append(last, done...))}
}

func (a *Answer) chatStream(c *Call) payload {
	empty := ""
	return a.chunkStream(c, c.n,
		&chatChoice{Delta: &chatMessage{Role: "assistant", Content: &empty}},
		func(text string) chatChoice { return chatChoice{Delta: &chatMessage{Content: &text}} },
		chatChoice{Delta: &chatMessage{}})
}

func (a *Answer) completionStream(c *Call) payload {
	empty := ""
	return a.chunkStream(c, c.textChoices(), nil,
		func(text string) chatChoice { return chatChoice{Text: &text} },
		chatChoice{Text: &empty})
}

// typed collects the events of endpoints that name them in "type".
type typed struct {
	number    int
	sequenced bool
	named     bool
}

func (t *typed) event(b []byte, kind string, fields obj) []byte {
	fields["type"] = kind
	if t.sequenced {
		fields["sequence_number"] = t.number
	}
	t.number++
	if !t.named {
		kind = ""
	}
	return event(b, kind, fields)
}

func (a *Answer) responseStream(c *Call) payload {
	t := typed{sequenced: true, named: true}
	item := func(f obj) obj {
		f["item_id"], f["output_index"], f["content_index"] = c.id("msg_"), 0, 0
		return f
	}
	opening := obj{
		"id": c.id("msg_"), "type": "message", "role": "assistant", "status": "in_progress", "content": []any{},
	}
	first := t.event(nil, "response.created", obj{"response": a.response(c, "in_progress")})
	first = t.event(first, "response.in_progress", obj{"response": a.response(c, "in_progress")})
	first = t.event(first, "response.output_item.added", obj{"output_index": 0, "item": opening})
	first = t.event(first, "response.content_part.added", item(obj{"part": a.responsePart("")}))
	parts := [][]byte{first}
	for _, piece := range a.pieces() {
		parts = append(parts, t.event(nil, "response.output_text.delta", item(obj{"delta": piece, "logprobs": []any{}})))
	}
	status := "completed"
	if a.full(c) {
		status = "incomplete"
	}
	last := t.event(nil, "response.output_text.done", item(obj{"text": a.Text, "logprobs": []any{}}))
	last = t.event(last, "response.content_part.done", item(obj{"part": a.responsePart(a.Text)}))
	last = t.event(last, "response.output_item.done", obj{"output_index": 0, "item": a.responseItem(c, status)})
	last = t.event(last, "response."+status, obj{"response": a.response(c, status)})
	return payload{typeStream, append(parts, last)}
}

func (a *Answer) imageStream(c *Call) payload {
	prefix := "image_generation."
	if c.Endpoint == "images/edits" {
		prefix = "image_edit."
	}
	fields := func() obj {
		return obj{
			"b64_json": pixel, "created_at": c.created(), "size": "1024x1024", "quality": "low",
			"background": "opaque", "output_format": "png",
		}
	}
	t := typed{named: true}
	var parts [][]byte
	for i := range c.partialImages {
		f := fields()
		f["partial_image_index"] = i
		parts = append(parts, t.event(nil, prefix+"partial_image", f))
	}
	last := fields()
	if !a.NoUsage {
		last["usage"] = a.imageUsage(c)
	}
	return payload{typeStream, append(parts, t.event(nil, prefix+"completed", last))}
}

func (a *Answer) transcriptStream(c *Call) payload {
	var t typed
	var parts [][]byte
	for _, piece := range a.pieces() {
		parts = append(parts, t.event(nil, "transcript.text.delta", obj{"delta": piece}))
	}
	last := obj{"text": a.Text}
	if !a.NoUsage {
		last["usage"] = a.tokenUsage(c)
	}
	return payload{typeStream, append(parts, t.event(nil, "transcript.text.done", last))}
}

func (a *Answer) speechStream(c *Call) payload {
	var t typed
	var parts [][]byte
	for range max(a.Deltas, 1) {
		parts = append(parts, t.event(nil, "speech.audio.delta", obj{"audio": base64.StdEncoding.EncodeToString(sound)}))
	}
	last := obj{}
	if !a.NoUsage {
		out := a.output(c)
		last["usage"] = obj{"input_tokens": c.PromptTokens, "output_tokens": out, "total_tokens": c.PromptTokens + out}
	}
	return payload{typeStream, append(parts, t.event(nil, "speech.audio.done", last))}
}

// fail ends a stream halfway with the answer's error: as response.failed where
// the Responses API failed by itself, else as an error event.
func (a *Answer) fail(c *Call, p payload) payload {
	e := a.errorObject()
	var last []byte
	switch {
	case !strings.HasPrefix(c.Endpoint, "responses"):
		last = event(nil, "", e.body())
	case a.Status >= 500:
		last = event(nil, "response.failed", obj{"type": "response.failed", "response": a.response(c, "failed")})
	default:
		last = event(nil, "error", obj{"type": "error", "code": e.Code, "message": e.Message, "param": nil})
	}
	p.parts = append(p.parts[:len(p.parts)/2:len(p.parts)/2], last)
	return p
}
