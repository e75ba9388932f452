package tokens_test

import (
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

func TestForModel(t *testing.T) {
	for encoding, models := range map[tokens.Encoding][]string{
		tokens.O200kBase: {
			"gpt-4o", "gpt-4o-mini", "gpt-4o-2024-08-06", "gpt-4o-audio-preview", "chatgpt-4o-latest",
			"gpt-4.1", "gpt-4.1-2025-04-14", "gpt-4.1-nano", "gpt-4.5-preview-2025-02-27",
			"gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.1", "gpt-5.1-codex-mini", "gpt-5.6", "gpt-6",
			"o1", "o1-2024-12-17", "o1-pro", "o3", "o3-mini", "o4-mini-2025-04-16",
			"gpt-oss-20b", "gpt-oss-120b", "openai/gpt-oss-120b",
			"gpt-image-1", "gpt-4o-mini-tts", "omni-moderation-latest", "computer-use-preview",
			"ft:gpt-4o-mini-2024-07-18:acme::abc123", "ft:gpt-4.1-2025-04-14:acme:name:id",
			"gpt-4o-mini-2024-07-18.ft-0123456789abcdef", // Azure
			"", "my-deployment", "mistral-large", "gpt-40", "adapter", "davincix",
		},
		tokens.CL100kBase: {
			"gpt-4", "gpt-4-0314", "gpt-4-0613", "gpt-4-32k", "gpt-4-32k-0613",
			"gpt-4-1106-preview", "gpt-4-0125-preview", "gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4-vision-preview",
			"gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-3.5-turbo-16k", "gpt-3.5-turbo-instruct",
			"gpt-35-turbo", "gpt-35-turbo-16k-0613", "GPT-35-Turbo", "gpt-35-turbo-0125.ft-0123456789abcdef",
			"text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large",
			"davinci-002", "babbage-002", "ft:davinci-002:acme::id", "ft:babbage-002:acme::id",
			"ft:gpt-4-0613:acme::id", "ft:gpt-3.5-turbo-0125:acme::id", "openai/gpt-4-turbo",
		},
		tokens.P50kBase: {
			"text-davinci-002", "text-davinci-003", "code-davinci-001", "code-davinci-002",
			"code-cushman-001", "code-cushman-002", "davinci-codex", "cushman-codex",
		},
		tokens.P50kEdit: {"text-davinci-edit-001", "code-davinci-edit-001"},
		tokens.R50kBase: {
			"text-davinci-001", "text-curie-001", "text-babbage-001", "text-ada-001",
			"davinci", "curie", "babbage", "ada", "davinci:ft-acme-2023-01-01", "curie-instruct-beta",
			"text-similarity-davinci-001", "text-search-ada-doc-001", "code-search-babbage-code-001",
			"gpt2", "gpt-2",
		},
	} {
		for _, model := range models {
			if got := tokens.ForModel(model); got != encoding {
				t.Errorf("ForModel(%q) = %v, want %v", model, got, encoding)
			}
		}
	}
}

func TestForModelDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { tokens.ForModel("ft:gpt-4o-mini-2024-07-18:acme::abc123") }); n != 0 {
		t.Errorf("ForModel allocates %v times", n)
	}
}

func TestBase(t *testing.T) {
	for model, want := range map[string]string{
		"":                           "",
		"gpt-4o":                     "gpt-4o",
		"openai/gpt-4o":              "gpt-4o",
		"ft:gpt-4o:acme:some/name:x": "gpt-4o",
		"davinci:ft-acme-2023":       "davinci",
		"ft:":                        "",
		"a/b/":                       "",
	} {
		if got := tokens.Base(model); got != want {
			t.Errorf("Base(%q) = %q, want %q", model, got, want)
		}
	}
}
