// Gen writes the tables of package bpe from the vocabularies of
// github.com/pkoukk/tiktoken-go-loader and from package unicode. Equal input gives
// equal bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("o", "data", "the directory to write to")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of each file.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	files["classes.index"], files["classes.blocks"] = classTable()
	if err := checkShared(); err != nil {
		return nil, err
	}
	for _, s := range sources {
		v, err := s.read()
		if err != nil {
			return nil, err
		}
		trie, err := buildTrie(v.tokens)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		records, err := v.records()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		files[s.name+".trie"] = trie.bytes()
		files[s.name+".tokens"] = recordBytes(records)
		files[s.name+".joints"] = buildJoints(v.tokens, records)
		files[s.name+".wide"] = v.wide()
	}
	return files, nil
}
