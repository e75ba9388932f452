package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// Whoever gets the tables gets the licenses of what they are made from: NOTICE, which
// go mod vendor copies too, names each file and has the text of the packed vocabularies'
// license as it came.
func TestNotice(t *testing.T) {
	notice, err := os.ReadFile("../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/pkoukk/tiktoken-go-loader").Output()
	if err != nil {
		t.Fatal(err)
	}
	license, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	_, terms, ok := strings.Cut(string(license), "\n\nPermission is hereby granted")
	if !ok {
		t.Fatalf("%q is another license", license)
	}
	holders := []string{strings.TrimSpace(string(license)), "OpenAI, Shantanu Jain\n\nPermission is hereby granted" + strings.TrimSpace(terms)}
	for _, want := range append(holders, "COPYRIGHT AND PERMISSION NOTICE\n\nCopyright © 1991-2023 Unicode, Inc.") {
		if !strings.Contains(string(notice), want) {
			t.Errorf("NOTICE lacks %q", want)
		}
	}
	for _, s := range sources {
		if !strings.Contains(string(notice), s.file) {
			t.Errorf("NOTICE does not name %s", s.file)
		}
	}
	files, err := os.ReadDir("../data")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if table, _, _ := strings.Cut(f.Name(), "."); !strings.Contains(string(notice), "data/"+table+".*") {
			t.Errorf("NOTICE does not say where data/%s is from", f.Name())
		}
	}
}
