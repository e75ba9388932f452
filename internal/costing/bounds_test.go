package costing

import "testing"

func TestBounds(t *testing.T) {
	for _, test := range []struct {
		model           string
		context, output int64
	}{
		{"gpt-5.4-mini-2026-03-17", 400_000, 128_000},
		{"gpt-5.4-pro", 1_050_000, 128_000},
		{"gpt-5-pro-2025-10-06", 400_000, 272_000},
		{"ft:gpt-4.1-nano-2025-04-14:acme::id", 1_047_576, 32_768},
		{"openai/gpt-oss-120b", 131_072, 131_072},
		{"o3-deep-research", 200_000, 100_000},
		{"o4-mini", 200_000, 100_000},
		{"gpt-4-0613", 8192, 8192},
		{"gpt-4-turbo-2024-04-09", 128_000, 4096},
		{"GPT-35-Turbo-16k", 16_385, 4096},
		// Not known.
		{"", 0, 0},
		{"gpt-5.9", 0, 0},
		{"gpt-6", 0, 0},
		{"gpt-40", 0, 0},
		{"my-deployment", 0, 0},
	} {
		context, output, ok := Bounds(test.model)
		if context != test.context || output != test.output || ok != (test.context > 0) {
			t.Errorf("%q: %d, %d, %t", test.model, context, output, ok)
		}
	}
	for _, b := range bounds {
		if context, output, _ := Bounds(b.model); context != b.context || output != b.output {
			t.Errorf("%q is hidden by one before it", b.model)
		}
		if b.output > b.context {
			t.Errorf("%q puts out more than its context holds", b.model)
		}
	}
}

func TestReasons(t *testing.T) {
	for model, want := range map[string]bool{
		"o1": true, "o3-mini-2025-01-31": true, "O4-mini": true, "openai/gpt-oss-120b": true, "codex-mini-latest": true,
		"gpt-5": true, "gpt-5.4-mini": true, "ft:gpt-5-nano:acme::id": true, "gpt-6-sol": true,
		"gpt-4o": false, "gpt-4.1-nano": false, "gpt-35-turbo": false, "gpt-3.5-turbo": false, "chatgpt-4o-latest": false,
		"omni-moderation-latest": false, "my-deployment": false, "o": false, "gpt-": false, "": false,
	} {
		if got := Reasons(model); got != want {
			t.Errorf("%q: %t", model, got)
		}
	}
}
