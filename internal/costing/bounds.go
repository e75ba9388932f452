package costing

import (
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// bounds are how many tokens a model's context holds, input and output together,
// and how many one answer may have, reasoning included: the pages of the models in
// OpenAI's documentation (developers.openai.com/api/docs/models), as they were in
// 2026. The first that a name belongs to counts. Models that are not listed are
// newer, or another's, and have no bounds here.
var bounds = []struct {
	model           string
	context, output int64
}{
	{"gpt-5.5", 1_050_000, 128_000},
	{"gpt-5.4-mini", 400_000, 128_000},
	{"gpt-5.4-nano", 400_000, 128_000},
	{"gpt-5.4", 1_050_000, 128_000},
	{"gpt-5.3", 400_000, 128_000},
	{"gpt-5.2", 400_000, 128_000},
	{"gpt-5.1", 400_000, 128_000},
	{"gpt-5-pro", 400_000, 272_000},
	{"gpt-5", 400_000, 128_000},
	{"gpt-oss", 131_072, 131_072},
	{"o1-mini", 128_000, 65_536},
	{"o1-preview", 128_000, 32_768},
	{"o1", 200_000, 100_000},
	{"o3", 200_000, 100_000},
	{"o4-mini", 200_000, 100_000},
	{"gpt-4.1", 1_047_576, 32_768},
	{"gpt-4.5", 128_000, 16_384},
	{"gpt-4o", 128_000, 16_384},
	{"chatgpt-4o", 128_000, 16_384},
	{"gpt-4-turbo", 128_000, 4096},
	{"gpt-4-1106", 128_000, 4096},
	{"gpt-4-0125", 128_000, 4096},
	{"gpt-4-vision", 128_000, 4096},
	{"gpt-4-32k", 32_768, 32_768},
	{"gpt-4", 8192, 8192},
	{"gpt-3.5-turbo-instruct", 4096, 4096},
	{"gpt-35-turbo-instruct", 4096, 4096},
	{"gpt-3.5-turbo", 16_385, 4096},
	{"gpt-35-turbo", 16_385, 4096}, // Azure's spelling
	{"davinci-002", 16_384, 16_384},
	{"babbage-002", 16_384, 16_384},
}

// mostContext is the largest of them, for models that are not listed.
const mostContext = 1_050_000

// Bounds returns the most tokens that a model's context holds, and that one of its
// answers may have: what the name says, as for [tokens.ForModel]. ok is false where
// they are not known.
func Bounds(model string) (context, output int64, ok bool) {
	model = strings.ToLower(tokens.Base(model))
	for _, b := range bounds {
		if rest, ok := strings.CutPrefix(model, b.model); ok && (rest == "" || rest[0] == '-') {
			return b.context, b.output, true
		}
	}
	return 0, 0, false
}

// Reasons reports whether a model puts out reasoning, which its answers count and
// do not show: the o series, gpt-oss, Codex, gpt-5 and what came after it.
func Reasons(model string) bool {
	model = strings.ToLower(tokens.Base(model))
	for _, prefix := range [...]string{"gpt-oss", "codex"} {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	if rest, ok := strings.CutPrefix(model, "gpt-"); ok {
		return rest != "" && '5' <= rest[0] && rest[0] <= '9'
	}
	return len(model) > 1 && model[0] == 'o' && '1' <= model[1] && model[1] <= '9'
}
