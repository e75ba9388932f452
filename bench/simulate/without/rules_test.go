package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Every rule can be taken out and put back.
func TestRulesAreThere(t *testing.T) {
	const root = "../../.."
	for _, r := range rules {
		was, err := os.ReadFile(filepath.Join(root, r.file))
		if err != nil {
			t.Fatal(err)
		}
		copied := t.TempDir()
		path := filepath.Join(copied, r.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, was, 0o644); err != nil {
			t.Fatal(err)
		}
		restore, err := r.remove(copied)
		if err != nil {
			t.Error(err)
			continue
		}
		is, err := os.ReadFile(path)
		if err != nil || string(is) == string(was) {
			t.Errorf("%q: nothing was taken out, %v", r.name, err)
		}
		if err := restore(); err != nil {
			t.Error(err)
		}
	}
}
