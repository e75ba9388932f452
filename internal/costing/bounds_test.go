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
		{"gpt-6", 1_050_000, 128_000},
		{"gpt-6.1-sol", 1_050_000, 128_000},
		// Newer than the table: as the newest of the family.
		{"gpt-6-astra", 1_050_000, 128_000},
		{"gpt-6.3-luna", 1_050_000, 128_000},
		{"gpt-5.6-terra", 1_050_000, 128_000},
		{"gpt-5.9-x", 1_050_000, 128_000},
		{"openai/GPT-5.9-Mini-2027-01-01", 400_000, 128_000},
		{"gpt-7", 1_050_000, 128_000},
		{"o5-mini", 200_000, 100_000},
		// Not known.
		{"", 0, 0},
		{"gpt-image-2.6-sunburst", 0, 0},
		{"gpt-audio-2", 0, 0},
		{"gpt-5x", 0, 0},
		{"gpt-prod", 0, 0},
		{"ollama", 0, 0},
		{"omni-moderation-latest", 0, 0},
		{"gpt-40", 0, 0},
		{"my-deployment", 0, 0},
	} {
		context, output, ok := Bounds(test.model)
		if context != test.context || output != test.output || ok != (test.context > 0) {
			t.Errorf("%q: %d, %d, %t", test.model, context, output, ok)
		}
	}
}

func TestReasons(t *testing.T) {
	for model, want := range map[string]bool{
		"o1": true, "o3-mini-2025-01-31": true, "O4-mini": true, "openai/gpt-oss-120b": true, "codex-mini-latest": true,
		"gpt-5": true, "gpt-5.4-mini": true, "ft:gpt-5-nano:acme::id": true, "gpt-6-sol": true, "gpt-5.9-x": true, "gpt-7-astra": true, "o5": true,
		"gpt-4o": false, "gpt-4.1-nano": false, "gpt-35-turbo": false, "gpt-3.5-turbo": false, "chatgpt-4o-latest": false,
		"omni-moderation-latest": false, "gpt-image-2": false, "gpt-realtime-2": false, "gpt-40": false, "my-deployment": false, "o": false, "gpt-": false, "": false,
	} {
		if got := Reasons(model); got != want {
			t.Errorf("%q: %t", model, got)
		}
	}
}
