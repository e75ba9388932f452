package openaitest

import "strings"

// A tally counts what a request's texts hold.
type tally struct {
	texts  int64 // messages and prompts
	marks  int64 // ASCII punctuation and symbols
	others int64 // other characters
	tokens int64 // tokens given as numbers, and those of images
	images int64
}

// estimate is the server's own guess at the prompt, from its characters. The
// rule reproduces the three captured charges: 7 for "Who is Joseph Conrad?", 6
// for "Hello, world?", 5 for "Tell me a joke". No rule in the number of
// characters alone can: 13 characters were charged more than 14.
func (t *tally) estimate() int64 { return t.texts + t.marks + (t.others+3)/4 + t.tokens }

// usage is what the prompt really counts: a token for four characters, and
// what OpenAI's cookbook adds for each message (3, 1 for its role) and for the
// reply (3). It gives the captured 12 for "Who is Joseph Conrad?".
func (t *tally) usage(chat bool) int64 {
	n := (t.marks+t.others+2)/4 + t.tokens
	if chat {
		n += 3 + 4*t.texts
	}
	return max(n, 1)
}

// weigh fills in what the call's texts and files cost.
func (q *request) weigh(c *Call) {
	var t tally
	for i := range q.Messages {
		m := &q.Messages[i]
		t.texts++
		t.content(m.Content)
		t.text(m.Name)
		t.schema(m.ToolCalls)
		t.schema(m.FunctionCall)
	}
	t.schema(q.Tools)
	t.schema(q.Functions)
	if c.generatesText() {
		t.schema(q.ResponseFormat)
		t.schema(q.Text)
	}
	chat := c.Endpoint != "completions"
	switch c.Endpoint {
	case "responses", "responses/compact", "responses/input_tokens":
		t.items(q.Input)
		if q.Instructions != nil {
			t.items(q.Instructions)
		}
	case "decisions":
		t.items(q.Input)
		t.schema(q.Questions)
	default:
		chat = c.Endpoint == "chat/completions"
		c.inputs, c.stringInput = t.prompts(q.Prompt)
		if q.Input != nil {
			c.inputs, c.stringInput = t.prompts(q.Input)
		}
	}
	t.tokens += q.files / 1000 // audio and pictures of a form, roughly
	c.inputImages = t.images
	c.PromptEstimate = t.estimate()
	c.PromptTokens = t.usage(chat)
}

// text counts the characters of s.
func (t *tally) text(s string) {
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 0x80 && b < 0xc0: // continues a character
		case b > ' ' && b < '0', b > '9' && b < 'A', b > 'Z' && b < 'a', b > 'z' && b < 0x7f:
			t.marks++
		default:
			t.others++
		}
	}
}

// prompts counts what completions and embeddings take: a string, strings,
// tokens, or lists of tokens. It returns how many inputs these are and whether
// they are a plain string.
func (t *tally) prompts(v any) (inputs int, plain bool) {
	switch v := v.(type) {
	case string:
		t.texts++
		t.text(v)
		return 1, true
	case []any:
		if len(v) > 0 {
			if _, numbers := v[0].(float64); numbers {
				t.texts++
				t.tokens += int64(len(v))
				return 1, false
			}
		}
		for _, item := range v {
			if list, ok := item.([]any); ok {
				t.texts++
				t.tokens += int64(len(list))
				continue
			}
			t.texts++
			t.content(item)
		}
		return len(v), false
	}
	return 0, false
}

// items counts the input of a response: a string or a list of items.
func (t *tally) items(v any) {
	list, ok := v.([]any)
	if !ok {
		t.texts++
		t.content(v)
		return
	}
	for _, item := range list {
		t.texts++
		t.content(item)
	}
}

// content counts a message's content, a content part, or an item that holds
// either.
func (t *tally) content(v any) {
	switch v := v.(type) {
	case string:
		t.text(v)
	case []any:
		for _, part := range v {
			t.content(part)
		}
	case map[string]any:
		switch kind, _ := v["type"].(string); kind {
		case "image_url", "input_image":
			t.image(v)
			return
		case "input_audio", "file", "input_file":
			return // encoded bytes, not characters
		}
		for _, key := range [...]string{"text", "content", "refusal", "name", "arguments", "output"} {
			t.content(v[key])
		}
	}
}

func (t *tally) image(part map[string]any) {
	detail, _ := part["detail"].(string)
	if nested, ok := part["image_url"].(map[string]any); ok {
		detail, _ = nested["detail"].(string)
	}
	t.images++
	if detail == "low" {
		t.tokens += 85
	} else {
		t.tokens += 765
	}
}

// schema counts the names and texts of tools and their like; the model does not
// see the JSON around them.
func (t *tally) schema(v any) {
	switch v := v.(type) {
	case string:
		if !strings.HasPrefix(v, "data:") {
			t.text(v)
		}
	case []any:
		for _, item := range v {
			t.schema(item)
		}
	case map[string]any:
		for key, value := range v {
			t.text(key)
			t.schema(value)
		}
	}
}
