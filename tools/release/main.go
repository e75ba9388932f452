// Release makes the module of cmd/ratelimiter require the library's release of the same version,
// in place of the directory above it:
//
//	release version repository
//
// It is what tools/release.sh commits. The repository's HEAD is the library's release.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

const (
	library = "github.com/openai-ratelimiter/ratelimiter"
	proxy   = "cmd/ratelimiter" // its module, below the library's
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: release version repository")
		os.Exit(2)
	}
	if err := release(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(version, repository string) error {
	sums, err := sums(version, repository)
	if err != nil {
		return err
	}
	dir := filepath.Join(repository, filepath.FromSlash(proxy))
	if err := edit(filepath.Join(dir, "go.mod"), func(text []byte) ([]byte, error) {
		f, err := modfile.Parse("go.mod", text, nil)
		if err != nil {
			return nil, err
		}
		if err := f.AddRequire(library, version); err != nil {
			return nil, err
		}
		if err := f.DropReplace(library, ""); err != nil {
			return nil, err
		}
		f.Cleanup()
		if len(f.Replace) > 0 {
			return nil, fmt.Errorf("go install refuses %s, since it replaces more than the library", proxy)
		}
		return f.Format()
	}); err != nil {
		return err
	}
	return edit(filepath.Join(dir, "go.sum"), func(text []byte) ([]byte, error) {
		lines := append(strings.Split(strings.TrimSpace(string(text)), "\n"), sums...)
		slices.Sort(lines)
		return []byte(strings.Join(lines, "\n") + "\n"), nil
	})
}

// sums are the lines of go.sum for the library's release, as everybody will get it.
func sums(version, repository string) ([]string, error) {
	f, err := os.CreateTemp("", "library-*.zip")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	err = zip.CreateFromVCS(f, module.Version{Path: library, Version: version}, repository, "HEAD", "")
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	all, err := dirhash.HashZip(f.Name(), dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return os.Open(filepath.Join(repository, "go.mod")) })
	if err != nil {
		return nil, err
	}
	return []string{library + " " + version + " " + all, library + " " + version + "/go.mod " + mod}, nil
}

// edit rewrites a file.
func edit(name string, change func([]byte) ([]byte, error)) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if text, err = change(text); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
