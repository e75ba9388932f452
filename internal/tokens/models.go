package tokens

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// A Model is what is known of one: figures that do not depend on who calls it. 0 stands
// for what is not known.
type Model struct {
	// Name is the beginning of the names that the model goes by.
	Name     string
	Encoding Encoding
	// Context is how many tokens it holds, input and output together; Output how many
	// one answer may have, reasoning included.
	Context, Output int64
	// Reasons says that it puts out reasoning, which its answers count and do not show.
	Reasons bool
}

// models is the one table of what models are. It was last brought up to date on 2026-11-30.
// The first row counts that a name belongs to: the name itself, or its beginning before a
// "-". Within a family the newest stands first, for a name that has no row is taken for
// the newest of its family; see [Lookup].
//
// Sources: developers.openai.com/api/docs/models, a page for each model, for contexts and
// outputs (GPT-6: vercel.com/ai-gateway/models and cloud.google.com's page of partner
// models, as of November 2026); OpenAI's tiktoken (tiktoken/model.py) for encodings.
// o200k_harmony, of gpt-oss, differs from o200k_base by special tokens only.
var models = []Model{
	{"gpt-6.2", O200kBase, 1_050_000, 128_000, true},
	{"gpt-6.1", O200kBase, 1_050_000, 128_000, true},
	{"gpt-6", O200kBase, 1_050_000, 128_000, true},
	{"gpt-5.5", O200kBase, 1_050_000, 128_000, true},
	{"gpt-5.4-mini", O200kBase, 400_000, 128_000, true},
	{"gpt-5.4-nano", O200kBase, 400_000, 128_000, true},
	{"gpt-5.4", O200kBase, 1_050_000, 128_000, true},
	{"gpt-5.3", O200kBase, 400_000, 128_000, true},
	{"gpt-5.2", O200kBase, 400_000, 128_000, true},
	{"gpt-5.1", O200kBase, 400_000, 128_000, true},
	{"gpt-5-pro", O200kBase, 400_000, 272_000, true},
	{"gpt-5", O200kBase, 400_000, 128_000, true},
	{"gpt-oss", O200kBase, 131_072, 131_072, true},
	{"codex", O200kBase, 0, 0, true},
	{"gpt-daybreak", O200kBase, 0, 0, true}, // openai-go v3.99 names them among the models of responses
	{"gpt-rosalind", O200kBase, 0, 0, true},

	{"o4-mini", O200kBase, 200_000, 100_000, true},
	{"o3", O200kBase, 200_000, 100_000, true},
	{"o1-mini", O200kBase, 128_000, 65_536, true},
	{"o1-preview", O200kBase, 128_000, 32_768, true},
	{"o1", O200kBase, 200_000, 100_000, true},

	{"gpt-4.1", O200kBase, 1_047_576, 32_768, false},
	{"gpt-4.5", O200kBase, 128_000, 16_384, false},
	{"gpt-4o", O200kBase, 128_000, 16_384, false},
	{"chatgpt-4o", O200kBase, 128_000, 16_384, false},
	{"gpt-4-turbo", CL100kBase, 128_000, 4096, false},
	{"gpt-4-1106", CL100kBase, 128_000, 4096, false},
	{"gpt-4-0125", CL100kBase, 128_000, 4096, false},
	{"gpt-4-vision", CL100kBase, 128_000, 4096, false},
	{"gpt-4-32k", CL100kBase, 32_768, 32_768, false},
	{"gpt-4", CL100kBase, 8192, 8192, false},
	{"gpt-3.5-turbo-instruct", CL100kBase, 4096, 4096, false},
	{"gpt-35-turbo-instruct", CL100kBase, 4096, 4096, false}, // Azure's spelling
	{"gpt-3.5-turbo", CL100kBase, 16_385, 4096, false},
	{"gpt-35-turbo", CL100kBase, 16_385, 4096, false},
	{"gpt-3.5", CL100kBase, 0, 0, false},
	{"gpt-35", CL100kBase, 0, 0, false},

	{"text-embedding", CL100kBase, 0, 0, false},
	{"davinci-002", CL100kBase, 16_384, 16_384, false},
	{"babbage-002", CL100kBase, 16_384, 16_384, false},

	{"text-davinci-edit", P50kEdit, 0, 0, false},
	{"code-davinci-edit", P50kEdit, 0, 0, false},
	{"text-davinci-001", R50kBase, 0, 0, false},
	{"text-davinci", P50kBase, 0, 0, false},
	{"code-davinci", P50kBase, 0, 0, false},
	{"code-cushman", P50kBase, 0, 0, false},
	{"davinci-codex", P50kBase, 0, 0, false},
	{"cushman-codex", P50kBase, 0, 0, false},

	{"davinci", R50kBase, 0, 0, false},
	{"curie", R50kBase, 0, 0, false},
	{"babbage", R50kBase, 0, 0, false},
	{"ada", R50kBase, 0, 0, false},
	{"text-curie", R50kBase, 0, 0, false},
	{"text-babbage", R50kBase, 0, 0, false},
	{"text-ada", R50kBase, 0, 0, false},
	{"text-similarity", R50kBase, 0, 0, false},
	{"text-search", R50kBase, 0, 0, false},
	{"code-search", R50kBase, 0, 0, false},
	{"gpt2", R50kBase, 0, 0, false},
	{"gpt-2", R50kBase, 0, 0, false},
}

// sizes are what sets a family's small models apart.
var sizes = [...]string{"-mini", "-nano"}

// Lookup returns what is known of a model. Dated names (gpt-4-0613), fine-tuned ones
// (ft:gpt-3.5-turbo:acme::id, davinci:ft-acme), Azure's spellings (gpt-35-turbo) and a
// provider before the name (openai/gpt-4) are understood; case does not matter.
//
// A name that is newer than the table (gpt-6-astra, gpt-5.9-mini, o5) is that of the
// newest model of its generation and size that is listed, else of its family. Of any other
// name nothing is known: it gets the zero Model, whose encoding is the newest.
func Lookup(name string) Model {
	const longest = 256
	if len(name) > longest {
		return lookup(name)
	}
	place := &recent[maphash.String(seed, name)%uint64(len(recent))]
	if l := place.Load(); l != nil && l.name == name {
		return l.model
	}
	m := lookup(name)
	place.Store(&looked{strings.Clone(name), m})
	return m
}

// recent are names that were looked up before: a program calls few models, often.
var (
	recent [64]atomic.Pointer[looked]
	seed   = maphash.MakeSeed()
)

type looked struct {
	name  string
	model Model
}

// lookup is Lookup without what was looked up before.
func lookup(name string) Model {
	name = Base(name)
	for i := range models {
		if m := &models[i]; hasPrefixFold(name, m.Name) && endsName(name[len(m.Name):]) {
			return *m
		}
	}
	for _, family := range [...]string{"gpt-", "o"} {
		if generation, rest := generationOf(name, family); generation > 0 {
			return newest(family, generation, sizeOf(rest))
		}
	}
	return Model{}
}

// newest returns the model of the family that is closest to a generation and size: the
// generation counts for more.
func newest(family string, generation int, size string) (found Model) {
	best := -1
	for i := range models {
		g, rest := generationOf(models[i].Name, family)
		if g == 0 {
			continue
		}
		likeness := 0
		if g == generation {
			likeness += 2
		}
		if sizeOf(rest) == size {
			likeness++
		}
		if likeness > best {
			best, found = likeness, models[i]
		}
	}
	return found
}

// generationOf returns the generation of a name of a family, such as 5 of gpt-5.9-mini,
// and what follows it; 0 for names of other families, and of generations that are
// listed in full.
func generationOf(name, family string) (generation int, rest string) {
	const earliest, latest = 5, 29 // gpt-35 is gpt-3.5, and gpt-40 a slip
	if !hasPrefixFold(name, family) {
		return 0, ""
	}
	rest = name[len(family):]
	digits := 0
	for digits < len(rest) && digits < 3 && '0' <= rest[digits] && rest[digits] <= '9' {
		generation = 10*generation + int(rest[digits]-'0')
		digits++
	}
	rest = rest[digits:]
	switch {
	case digits == 0, generation > latest, family == "gpt-" && generation < earliest:
		return 0, ""
	case endsName(rest), rest[0] == '.' && family == "gpt-":
		return generation, rest
	}
	return 0, "" // gpt-5x, ollama
}

func sizeOf(rest string) string {
	rest = strings.ToLower(rest)
	for _, size := range sizes {
		if i := strings.Index(rest, size); i >= 0 && endsName(rest[i+len(size):]) {
			return size
		}
	}
	return ""
}
