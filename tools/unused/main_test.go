package main

import (
	"slices"
	"testing"
)

// What only a package's own tests use is found. What another package uses, a literal without
// names included, is not, nor what may be called through an interface or set by JSON.
func TestUnused(t *testing.T) {
	got, err := unused([]string{"testdata/module"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"internal/p/p.go:14: p.T.Uncalled is not used",
		"internal/p/p.go:15: p.T.Tests is not used",
		"internal/p/p.go:24: p.Nested.Deeper is not used",
		"internal/p/p.go:7: p.T.Tested is not used",
		"internal/p/p.go:7: p.T.Unused is not used",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
	if _, err := unused(nil); err == nil {
		t.Error("it finds nothing in nothing")
	}
}
