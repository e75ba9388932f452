package tokens

import "testing"

func TestModelsTable(t *testing.T) {
	for _, m := range models {
		if got := Lookup(m.Name); got != m {
			t.Errorf("%q is hidden by %q", m.Name, got.Name)
		}
		if m.Output > m.Context {
			t.Errorf("%q puts out more than its context holds", m.Name)
		}
	}
}

// A name that the table does not have is taken for the newest of its family.
func TestLookupOfTheFuture(t *testing.T) {
	for name, want := range map[string]string{
		"gpt-daybreak-blue-latest": "gpt-daybreak", "gpt-rosalind-research": "gpt-rosalind", "gpt-6-rosalind": "gpt-6", "gpt-6-astra": "gpt-6", "gpt-6.1-sol": "gpt-6.1", "gpt-6.9-terra": "gpt-6.2", "gpt-7": "gpt-6.2", "gpt-12.5-nova": "gpt-6.2",
		"gpt-5.6-sol": "gpt-5.5", "gpt-5.9-x": "gpt-5.5", "gpt-5.9-mini": "gpt-5.4-mini", "gpt-5.9-nano-2027-01-01": "gpt-5.4-nano",
		"GPT-5.9": "gpt-5.5", "ft:gpt-5.9:acme::id": "gpt-5.5", "azure/gpt-5.9": "gpt-5.5", "gpt-5-turbo": "gpt-5",
		"gpt-5@2026": "gpt-5", "gpt-5.9@eu": "gpt-5.5", "gpt-5+tools": "gpt-5", "gpt-5[high]": "gpt-5", "gpt-5 (high)": "gpt-5", "gpt-4_1": "gpt-4",
		"gpt-5.4-mini-2026-03-05:thinking": "gpt-5.4-mini", "openai.gpt-5.4": "gpt-5.4", "us.openai.gpt-oss-120b-1:0": "gpt-oss",
		"bedrock/openai.gpt-oss-20b-1:0": "gpt-oss", "o3@latest": "o3", "o4-mini (high)": "o4-mini", "o9!": "o3",
		"o5": "o3", "o5-mini": "o4-mini", "o4": "o4-mini", "o1-pro": "o1",
		"gpt-4": "gpt-4", "gpt-4.1-nano": "gpt-4.1", "gpt-35-turbo-16k": "gpt-35-turbo", "gpt-3.5-next": "gpt-3.5",
		"": "", "gpt-": "", "gpt-40": "", "gpt-100": "", "gpt-5x": "", "gpt-5.": "gpt-5.5", "gpt-image-2": "", "gpt-prod": "",
		"o": "", "omni": "", "ollama": "", "o1x": "", "mistral-large": "", "my-gpt-5": "",
	} {
		if got := Lookup(name).Name; got != want {
			t.Errorf("%q is taken for %q; want %q", name, got, want)
		}
	}
}
