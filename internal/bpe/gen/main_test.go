package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What is committed is what the generator writes. Where this fails after an
// upgrade of Go, Unicode has new runes: run go generate.
func TestCommitted(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	const dir = "../data"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("%s has %d files, the generator writes %d", dir, len(entries), len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes", name)
		}
	}
}

func TestChecksum(t *testing.T) {
	s := sources[0]
	s.sha256 = sources[1].sha256
	if _, err := s.read(); err == nil {
		t.Error("another file's checksum passes")
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{
		"IQ== x",      // rank
		"!!!! 0",      // base64
		"ISE= 7",      // two bytes among the single ones
		"IQ== 300",    // one byte among the others
		"ISE= 262143", // no room
		" 300",        // no token
	} {
		if _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
