package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page about what the limiter shows names every message of its log, and every metric and
// attribute: programs select by them.
func TestWhatIsObservedIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/OBSERVABILITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		files string
		name  *regexp.Regexp
		least int // of them there are
	}{
		{"*.go", regexp.MustCompile(`(?:slog\.Level\w+,|=|,)\s*"(ratelimiter: [^"%]+)"`), 17},
		{"adapters/otel/*.go", regexp.MustCompile(`"(ratelimiter\.[a-z_.]+)"`), 25},
	} {
		files, err := filepath.Glob(filepath.Join(root, tt.files))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tt.name.FindAllSubmatch(code, -1) {
				found++
				name := string(m[1])
				short := "`" + strings.TrimPrefix(name, "ratelimiter") + "`" // beside one in full
				if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), short) {
					t.Errorf("OBSERVABILITY.md does not name %q of %s", name, file)
				}
			}
		}
		if found < tt.least {
			t.Errorf("%d names in %s; want at least %d", found, tt.files, tt.least)
		}
	}
}
