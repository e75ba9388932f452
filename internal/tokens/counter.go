// Package tokens counts tokens as OpenAI's encodings give them. [ForModel] says
// which encoding a model uses and a [Counter] counts text in it; [Exact] is
// the one that comes with the library.
package tokens

// Counter counts the tokens that text has for a model, given its name as the
// request has it and the encoding that [ForModel] gives it. Text that spells a
// special token, such as <|endoftext|>, counts as ordinary text, and text that is
// not valid UTF-8 counts for something. Count is called from many goroutines at
// once, and must neither change text nor keep it after it returns: the bytes are
// reused.
type Counter interface {
	Count(model string, e Encoding, text []byte) int
}
