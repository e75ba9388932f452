package ratelimiter

import (
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// A Counter counts tokens in place of the library, which counts as OpenAI's
// tiktoken does: for a server whose models have vocabularies of their own, or to
// keep one tokenizer in a program. [WithCounter] puts it in.
type Counter interface {
	// Count returns how many tokens text has for a model.
	//
	// The model is the one that the request names, as it spells it, or Azure's
	// deployment where its body names none. The encoding is the one that the
	// library would use for that name: "o200k_base", "cl100k_base",
	// "p50k_base", "p50k_edit" or "r50k_base", and "o200k_base" for a name that
	// it does not know. Text is ordinary text, also where it spells a special
	// token; it need not be valid UTF-8, and long text comes in pieces.
	//
	// A negative count leaves the text to the library, so that a Counter need
	// not know every model. Built with the tag ratelimiter_notables, the library
	// takes four bytes for a token. A count of more than four tokens for each byte is
	// cut to that.
	//
	// Count is called from many goroutines at once, each time before a request
	// is sent and for what a stream brings, so it should be fast. If it panics,
	// so does the call that it counts for, and the panic says where it comes
	// from.
	Count(model, encoding, text string) int
}

// maxPerByte is far above what any vocabulary needs for a byte.
const maxPerByte = 4

// userCounter makes a Counter keep its promises.
type userCounter struct{ counter Counter }

var _ tokens.Counter = userCounter{}

func (u userCounter) Count(model string, e tokens.Encoding, text []byte) int {
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("ratelimiter: the Counter of WithCounter panicked at %d bytes of text in %v for model %q: %v", len(text), e, model, p))
		}
	}()
	n := u.counter.Count(model, e.String(), string(text))
	if n < 0 {
		return tokens.Exact{}.Count(model, e, text)
	}
	return min(n, maxPerByte*len(text))
}
