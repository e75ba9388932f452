package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The documents that promise something name the tests that hold it. They exist.
func TestNamedTestsExist(t *testing.T) {
	exist := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") && filepath.Base(filepath.Dir(path)) != "backendtest" {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Run)\w+)\(`).FindAllSubmatch(source, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"SECURITY.md", "docs/ABANDONED.md"} {
		text, err := os.ReadFile("../../" + doc)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1)
		if len(named) < 10 {
			t.Errorf("%s names %d tests", doc, len(named))
		}
		for _, m := range named {
			if !exist[string(m[1])] {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
	}
}
