package costing

// responses returns the tokens of a response's input. Messages and tools are
// charged as in chat. What the body refers to by id (a previous response, a
// conversation, a stored prompt, an item) is not in it.
func (r *reader) responses(f *fields) (total int64) {
	for _, m := range [...]mark{f.instructions, f.input} {
		if !r.at(m) {
			continue
		}
		if r.peek() == '"' {
			total += perMessage + roleTokens + r.text()
		} else {
			total += r.messages()
		}
	}
	if total > 0 {
		total += replyPriming
	}
	total += r.toolset(f.tools, 0)
	if r.at(f.prompt) {
		total += r.variables()
	}
	if r.at(f.text) {
		total += r.textFormat()
	}
	return total
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
