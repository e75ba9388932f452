package costing

import "strings"

// What the OpenAI cookbook publishes (How to count tokens with tiktoken, 6):
// each message, a name in one, and the answer's opening. They hold for gpt-3.5-turbo
// since 0613, gpt-4 and gpt-4o, and are taken for all later models.
const (
	perMessage   = 3
	perName      = 1
	replyPriming = 3
)

// perCall is for a tool call in a message, beside its name and arguments. Not
// published; measured by others for function_call (hmarr/openai-chat-tokens).
const perCall = 3

// chat returns the tokens of a chat completion's input, and whether functions are among it.
func (r *reader) chat(f *fields) (total int64, functions bool) {
	if r.at(f.messages) {
		total += r.messages() + replyPriming
	} else { // OpenRouter's
		total, _ = r.prompts(f.prompt)
	}
	if tools := r.toolset(f.tools, f.functions); tools > 0 { // neither null nor empty
		total += tools + r.chatTools()
		functions = true
	}
	if r.at(f.format) {
		total += r.format(0)
	}
	if r.at(f.prediction) {
		total += r.prediction()
	}
	return total, functions
}

// lateTools is what chat/completions adds where there are functions, on gpt-5 and later: of
// 51 recordings of gpt-5-mini, gpt-5 and gpt-5.4-mini that are public, the API's
// prompt_tokens were 77 to 96 above the rules of the cookbook, and 33 times by exactly so
// many. The same requests through /responses have no such addition.
const lateTools = 83

// chatTools is what a chat with tools has beside them.
func (r *reader) chatTools() int64 {
	if rest, ok := strings.CutPrefix(r.model, "gpt-"); ok && rest != "" && '5' <= rest[0] && rest[0] <= '9' {
		return lateTools
	}
	return 0
}

// prediction reads predicted output. It travels with the prompt; whether the server
// counts it when it admits the request is not established.
func (r *reader) prediction() (total int64) {
	if !r.enter('{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "content" {
			total += r.guess(r.content())
		} else {
			r.skip()
		}
	}
	return total
}

// messages reads an array of messages, or of the items of a response's input.
func (r *reader) messages() (total int64) {
	if !r.enter('[') {
		return 0
	}
	for r.more() {
		total += r.message()
	}
	return total
}

// message reads a message or an item: system to tool, calls and their outputs.
// Identifiers, among them tool_call_id, are not shown to the model, nor are the
// summaries of reasoning; what a service looked up before is.
func (r *reader) message() int64 {
	if !r.enter('{') {
		return 0
	}
	total := int64(perMessage)
	var named, called bool
	thought := int64(0)
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "role":
			total += r.text()
		case "content", "refusal", "output", "outputs", "results":
			total += r.content()
		case "name":
			named = r.peek() == '"'
			total += r.text()
		case "arguments", "input", "code", "action", "operation":
			called = called || r.peek() != 'n'
			total += r.valueGiven()
		case "error": // of an MCP server's tool
			total += r.valueGiven()
		case "function_call":
			total += r.call()
		case "tool_calls":
			if r.enter('[') {
				for r.more() {
					total += r.call()
				}
			}
		case "tools": // of an MCP server, listed before
			total += r.tools(0)
		case "result": // of an image generation
			if image := r.str(); len(image) > 0 {
				total += r.image(sizeOf(source{raw: image, base64: true}), nil)
			}
		case "encrypted_content":
			total += r.guess(ciphertextTokens(r.str()))
		case "images": // which the model has made, as OpenRouter returns them
			if r.enter('[') {
				for r.more() {
					total += r.part(0)
				}
			}
		case "reasoning_content", "reasoning", "reasoning_details", "thinking_blocks":
			// Of hosts that show it: some take it back, others drop it.
			guessed := r.guessed
			thought = max(thought, r.content())
			r.guessed = guessed // all of it is, below
		default:
			r.skip()
		}
	}
	total += r.guess(thought)
	switch {
	case called:
		total += perCall
	case named:
		total += perName
	}
	return total
}

// value reads a text, or any other value as it is written.
func (r *reader) value() int64 {
	if r.peek() == '"' {
		return r.text()
	}
	return r.measure(r.raw())
}

// valueGiven is value, unless that is null.
func (r *reader) valueGiven() int64 {
	if r.peek() == 'n' {
		r.skip()
		return 0
	}
	return r.value()
}

// call reads a call of a function or a custom tool, in a chat message.
func (r *reader) call() int64 {
	if !r.enter('{') {
		return 0
	}
	total := int64(perCall)
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "function", "custom":
			total += r.callee()
		case "name", "arguments":
			total += r.text()
		default:
			r.skip()
		}
	}
	return total
}

func (r *reader) callee() (total int64) {
	if !r.enter('{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "name", "arguments", "input":
			total += r.text()
		default:
			r.skip()
		}
	}
	return total
}

// content reads what a message says: text, or parts.
func (r *reader) content() (total int64) { return r.contentBelow(0) }

func (r *reader) contentBelow(depth int) (total int64) {
	switch r.peek() {
	case '"':
		return r.text()
	case '{':
		return r.part(depth)
	}
	if !r.enterBelow(depth, '[') {
		return 0
	}
	for r.more() {
		if r.peek() == '"' {
			total += r.text()
		} else {
			total += r.part(depth)
		}
	}
	return total
}

// part reads one part of a message: text, an image, audio, a video, a file, what a tool put
// out, or parts of its own.
func (r *reader) part(depth int) (total int64) {
	if !r.enterBelow(depth, '{') {
		return 0
	}
	var (
		picture, document            bool
		kind, url, detail, doc, data []byte
	)
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "type":
			kind = r.str()
		case "text", "refusal", "logs", "stdout", "stderr":
			total += r.text()
		case "thinking": // Mistral's and Anthropic's
			total += r.guess(r.contentBelow(depth + 1))
		case "content":
			total += r.contentBelow(depth + 1)
		case "image_url", "image":
			if b := r.peek(); b == '{' || b == '"' {
				picture = true
			}
			var of []byte
			if url, of = r.url(); of != nil {
				detail = of
			}
		case "source": // Anthropic's
			data = r.source()
		case "data": // MCP's, of images, and what was thought, encrypted
			data = r.str()
		case "detail":
			detail = r.str()
		case "input_audio":
			total += r.inputAudio()
		case "audio_url":
			url, _ := r.url()
			total += r.guess(audioTokens(url))
		case "video_url", "video":
			if r.given() {
				total += r.guess(unseenDocument)
			}
		case "file":
			total += r.file()
		case "document_url", "file_url":
			document = r.peek() != 'n'
			doc, _ = r.url()
		case "file_data":
			doc = r.str()
		default:
			r.skip()
		}
	}
	switch string(kind) {
	case "text", "input_text", "output_text", "refusal":
		return total
	case "input_image", "computer_screenshot", "image":
		picture = true
	case "input_file":
		document = true
	case "document":
		doc, document = data, true
	case "reasoning.encrypted", "redacted_thinking":
		total += r.guess(ciphertextTokens(data))
	}
	if document {
		total += r.guess(documentTokens(doc))
	}
	if picture {
		size := sizeOfURL(url)
		if data != nil {
			size = sizeOf(source{raw: data, base64: true})
		}
		total += r.image(size, detail)
	}
	return total
}

// url reads a URL that stands alone or in an object, which may say the detail too.
func (r *reader) url() (url, detail []byte) {
	if r.peek() == '"' {
		return r.str(), nil
	}
	if !r.enter('{') {
		return nil, nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "url":
			url = r.str()
		case "detail":
			detail = r.str()
		default:
			r.skip()
		}
	}
	return url, detail
}

// source reads {"type": "base64", "data": base64}.
func (r *reader) source() (data []byte) {
	if !r.enter('{') {
		return nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "data" {
			data = r.str()
		} else {
			r.skip()
		}
	}
	return data
}
