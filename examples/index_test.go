package examples

import (
	"os"
	"strings"
	"testing"
)

// The index names each example.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "internal" && !strings.Contains(string(index), "| ["+e.Name()+"](") {
			t.Errorf("README.md does not name %s", e.Name())
		}
	}
}
