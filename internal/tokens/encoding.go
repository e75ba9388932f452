package tokens

import "strings"

// Encoding is one of OpenAI's vocabularies and the rules that split text for it.
type Encoding uint8

// The zero value is the newest encoding, which models with unknown names get. Not listed
// are o200k_harmony, which differs from o200k_base by special tokens only, and gpt2, which
// r50k_base took over unchanged.
const (
	O200kBase Encoding = iota
	CL100kBase
	P50kBase
	P50kEdit
	R50kBase

	encodings int = iota
)

var encodingNames = [encodings]string{"o200k_base", "cl100k_base", "p50k_base", "p50k_edit", "r50k_base"}

// String returns the name OpenAI gives the encoding.
func (e Encoding) String() string {
	if int(e) >= encodings {
		e = O200kBase
	}
	return encodingNames[e]
}

// ForModel returns the encoding of a model, as [Lookup] knows it. An unknown name gets the
// newest encoding.
func ForModel(model string) Encoding { return Lookup(model).Encoding }

// Base returns the name of the model that a name stands for: without a provider
// before it (openai/gpt-5, us.openai.gpt-oss-120b-1:0), and of a fine-tuned one
// (ft:gpt-4o:acme::id, davinci:ft-acme) what it was made from.
func Base(model string) string {
	if hasPrefixFold(model, "ft:") {
		model = model[len("ft:"):]
	}
	model, _, _ = strings.Cut(model, ":")
	model = model[strings.LastIndexByte(model, '/')+1:]
	if _, name, ok := strings.Cut(model, "openai."); ok { // Bedrock's
		return name
	}
	return model
}

// endsName reports whether what follows a family's name is no longer part of it:
// a version, a date, a fine-tune, or what a gateway adds (gpt-5@2026, gpt-5[high]).
func endsName(rest string) bool {
	if rest == "" {
		return true
	}
	c := rest[0]
	return c != '.' && (c < '0' || '9' < c) && (c|0x20 < 'a' || 'z' < c|0x20)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
