package costing

// responses returns the tokens of a response's input, and of the part of it that
// holds for this response alone: neither instructions nor tools nor formats are
// items, and only items are carried over to what continues it (openapi.yaml,
// previous_response_id and conversation). Messages and tools are charged as in chat.
// What the body refers to by id (a previous response, a conversation, a stored
// prompt, an item) is not in it.
func (r *reader) responses(f *fields) (total, passing int64) {
	passing = r.items(f.instructions)
	total = r.items(f.input) + passing
	if total > 0 {
		total += replyPriming
	}
	shape := r.toolset(f.tools, 0)
	if r.at(f.text) {
		shape += r.textFormat()
	}
	total, passing = total+shape, passing+shape
	if r.at(f.prompt) {
		total += r.variables()
	}
	return total, passing
}

// decisions returns the tokens of what is asked, and of what it is asked about.
func (r *reader) decisions(f *fields) (total int64) {
	if total = r.items(f.input); total > 0 {
		total += replyPriming
	}
	for _, m := range [...]mark{f.state, f.questions} {
		if r.at(m) {
			total += r.valueGiven()
		}
	}
	return total
}

// items reads a text, which is one message, or an array of items.
func (r *reader) items(m mark) int64 {
	if !r.at(m) {
		return 0
	}
	if r.peek() == '"' {
		return perMessage + roleTokens + r.text()
	}
	return r.messages()
}

// roleTokens is the tokens of the role of a message that is not written as one.
const roleTokens = 1

// variables reads what a stored prompt is to be filled in with.
func (r *reader) variables() (total int64) {
	if !r.enter('{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) != "variables" {
			r.skip()
			continue
		}
		if r.enter('{') {
			for _, ok := r.key(); ok; _, ok = r.key() {
				total += r.content()
			}
		}
	}
	return total
}

func (r *reader) textFormat() (total int64) {
	if !r.enter('{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "format" {
			total += r.format(0)
		} else {
			r.skip()
		}
	}
	return total
}
