// Package tokens counts tokens as OpenAI's encodings give them. [ForModel] says
// which encoding a model uses and a [Counter] counts text in it; [Exact] is
// the one that comes with the library.
package tokens

// Counter counts the tokens of text for a model. It receives the model's name as the
// request has it, and its encoding by [ForModel]. Text that spells a special token, such
// as <|endoftext|>, counts as ordinary text, and invalid UTF-8 must count for something.
// Count is called from many goroutines at once. It must neither change text nor keep it
// after it returns, since the bytes are reused.
type Counter interface {
	Count(model string, e Encoding, text []byte) int
}
