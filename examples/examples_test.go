package examples

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every example runs without a key, and says what it is there to say.
func TestExamples(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	t.Setenv("AZURE_OPENAI_API_KEY", "")
	examples := []struct{ name, says string }{
		{"openaigo", "yes and now"},
		{"goopenai", "yes and now"},
		{"limiter", "shorten the input or lower max_tokens"},
		{"slog", `msg="ratelimiter: call settled" ratelimiter.account=`},
		{"interactive", "the batch is done"},
		{"azure", "yes and now"},
		{"langchaingo", "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,"},
		{"eino", "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,"},
		{"estimate", "response that continues one         │              61 │         61 │"},
	}
	bin := t.TempDir()
	build := []string{"build", "-o", bin}
	for _, e := range examples {
		build = append(build, "./"+e.name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), filepath.Join(bin, e.name)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), e.says) {
				t.Errorf("%v; want %q in:\n%s", err, e.says, out)
			}
		})
	}
}
