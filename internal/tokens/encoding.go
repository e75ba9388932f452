package tokens

import "strings"

// Encoding is one of OpenAI's vocabularies and the rules that split text for it.
type Encoding uint8

// The zero value is the newest encoding, which models with unknown names get.
// o200k_harmony, of gpt-oss, differs from o200k_base by special tokens only, so it is not
// listed. Nor is gpt2, which r50k_base took over unchanged.
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

// families follow the tables of OpenAI's tiktoken (tiktoken/model.py), without those that
// the default covers: gpt-4o, gpt-4.1, gpt-4.5, gpt-5 and later, chatgpt-4o, the o
// series, gpt-oss. The first family that a name belongs to decides.
var families = []struct {
	name     string
	encoding Encoding
}{
	{"gpt-4", CL100kBase}, // gpt-4-turbo, gpt-4-32k-0613; not gpt-4o, gpt-4.1
	{"gpt-3.5", CL100kBase},
	{"gpt-35", CL100kBase}, // Azure's spelling
	{"text-embedding", CL100kBase},
	{"davinci-002", CL100kBase},
	{"babbage-002", CL100kBase},

	{"text-davinci-edit", P50kEdit},
	{"code-davinci-edit", P50kEdit},
	{"text-davinci-001", R50kBase},
	{"text-davinci", P50kBase},
	{"code-davinci", P50kBase},
	{"code-cushman", P50kBase},
	{"davinci-codex", P50kBase},
	{"cushman-codex", P50kBase},

	{"davinci", R50kBase},
	{"curie", R50kBase},
	{"babbage", R50kBase},
	{"ada", R50kBase},
	{"text-curie", R50kBase},
	{"text-babbage", R50kBase},
	{"text-ada", R50kBase},
	{"text-similarity", R50kBase},
	{"text-search", R50kBase},
	{"code-search", R50kBase},
	{"gpt2", R50kBase},
	{"gpt-2", R50kBase},
}

// ForModel returns the encoding of a model. Dated names (gpt-4-0613), fine-tuned
// ones (ft:gpt-3.5-turbo:acme::id, davinci:ft-acme), Azure's spellings
// (gpt-35-turbo) and a provider before the name (openai/gpt-4) are understood;
// case does not matter. An unknown name gets the newest encoding.
func ForModel(model string) Encoding {
	model = Base(model)
	for _, f := range families {
		if hasPrefixFold(model, f.name) && endsName(model[len(f.name):]) {
			return f.encoding
		}
	}
	return O200kBase
}

// Base returns the name of the model that a name stands for: without a provider
// before it, and of a fine-tuned one (ft:gpt-4o:acme::id, davinci:ft-acme) what it
// was made from.
func Base(model string) string {
	if hasPrefixFold(model, "ft:") {
		model = model[len("ft:"):]
	}
	model, _, _ = strings.Cut(model, ":")
	return model[strings.LastIndexByte(model, '/')+1:]
}

// endsName reports whether what follows a family's name is no longer part of it:
// a version, a date, a fine-tune.
func endsName(rest string) bool {
	return rest == "" || rest[0] == '-'
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
