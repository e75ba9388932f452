package costing

import "strings"

// defaultMaxTokens is what /completions generates where no maximum is declared
// (openapi.yaml).
const defaultMaxTokens = 16

// completions returns the tokens of the prompts and how many there are. The API
// generates n (or best_of) completions for each. Echoed prompts are not generated,
// and cost nothing more.
func (r *reader) completions(f *fields) (total, prompts int64) {
	total, prompts = r.prompts(f.prompt)
	if r.at(f.suffix) {
		total += r.text()
	}
	return total, prompts
}

// prompts reads a prompt or an input in all its shapes: a string, strings, token
// ids, arrays of token ids, and the parts that moderations takes. There is at least
// one.
func (r *reader) prompts(m mark) (total, n int64) {
	if !r.at(m) {
		return 0, 1
	}
	if r.peek() == '"' {
		return r.text(), 1
	}
	if !r.enter('[') {
		return 0, 1
	}
	ids := int64(0)
	for r.more() {
		n++
		switch r.peek() {
		case '"':
			total += r.text()
		case '[':
			total += r.tokenIDs()
		case '{':
			total += r.part(0)
		default:
			r.skip()
			ids++
		}
	}
	// The ids are one prompt together.
	n -= max(ids-1, 0)
	return total + ids, max(n, 1)
}

func (r *reader) tokenIDs() (n int64) {
	r.enter('[')
	for r.more() {
		r.skip()
		n++
	}
	return n
}

// speech returns the tokens of what is to be spoken, and how.
func (r *reader) speech(f *fields) (total int64) {
	for _, m := range [...]mark{f.input, f.instructions} {
		if r.at(m) {
			total += r.text()
		}
	}
	return total
}

// transcription returns the tokens of the audio and the prompt. Whisper is limited
// by requests alone.
func (r *reader) transcription(f *fields) int64 {
	if strings.HasPrefix(r.model, "whisper") {
		return 0
	}
	return r.guess(f.audio) + r.prompt(f)
}

// prompt returns the tokens of a prompt that is one string, of JSON or of a form.
func (r *reader) prompt(f *fields) int64 {
	if r.at(f.prompt) {
		return r.text()
	}
	return r.measure(f.promptText)
}
