// Package texttest has text of the kinds that people send, for tests and benchmarks.
package texttest

import (
	"bytes"
	_ "embed" // the sentences
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Sentences, one a line.
var (
	//go:embed texts/chinese.txt
	Chinese string
	//go:embed texts/german.txt
	German string
	//go:embed texts/japanese.txt
	Japanese string
	//go:embed texts/russian.txt
	Russian string
)

// A Text is of one kind.
type Text struct{ Kind, Content string }

// Kinds returns about size bytes of each of ten kinds of text, always the same. No two
// parts of a text are alike. English and code come with Go.
func Kinds(size int) ([]Text, error) {
	english, err := source("testdata/Isaac.Newton-Opticks.txt", size)
	if err != nil {
		return nil, err
	}
	code, err := source("net/http/*.go", size)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(english[len(english)/3:])
	word := func() string { return strings.Trim(words[r.IntN(len(words))], `.,;:()"`) }
	return []Text{
		{"English", english},
		{"code", code},
		{"German", Shuffled(r, German, size)},
		{"Russian", Shuffled(r, Russian, size)},
		{"Chinese", Shuffled(r, Chinese, size)},
		{"Japanese", Shuffled(r, Japanese, size)},
		{"JSON", grown(size, func(int) string {
			record, _ := json.MarshalIndent(map[string]any{
				"id": r.Uint64(), "name": word() + " " + word(), "tags": []string{word(), word(), word()}, "price": r.Float64() * 1000,
				"active": r.IntN(2) == 0, "address": map[string]any{"street": word(), "number": r.IntN(300), "zip": fmt.Sprint(10000 + r.IntN(89999))},
			}, "", "  ")
			return string(record) + ",\n"
		})},
		{"base64", grown(size, func(int) string {
			noise := make([]byte, 57)
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			return base64.StdEncoding.EncodeToString(noise) + "\n"
		})},
		{"log", grown(size, func(i int) string {
			at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 731 * time.Millisecond)
			level := []string{"INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"}[r.IntN(6)]
			return fmt.Sprintf("%s %-5s [worker-%d] request_id=%08x path=/v1/%s/%d status=%d duration=%.3fms msg=%q\n",
				at.Format(time.RFC3339Nano), level, r.IntN(32), r.Uint32(), word(), r.IntN(10000), 200+100*r.IntN(4), r.Float64()*100, word()+" "+word())
		})},
		{"table", grown(size, func(i int) string {
			if i%40 == 0 {
				return fmt.Sprintf("\n## %s %s\n\n| name | count | share | note |\n|---|--:|--:|---|\n", word(), word())
			}
			return fmt.Sprintf("| %s | %d | %.1f %% | %s %s |\n", word(), r.IntN(100000), r.Float64()*100, word(), word())
		})},
	}, nil
}

// Shuffled returns about size bytes of the sentences, again and again in another order, a
// few to the paragraph.
func Shuffled(r *rand.Rand, sentences string, size int) string {
	lines := strings.SplitAfter(strings.TrimSuffix(sentences, "\n"), "\n")
	return grown(size, func(i int) string {
		if i%len(lines) == 0 {
			r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		}
		line := strings.TrimSuffix(lines[i%len(lines)], "\n")
		switch {
		case i%5 == 0:
			return line + "\n"
		case line[len(line)-1] == '.':
			return line + " "
		}
		return line
	})
}

func grown(size int, next func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(next(i))
	}
	return b.String()
}

// source returns so much of Go's own files.
func source(pattern string, size int) (string, error) {
	files, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", pattern))
	if err != nil {
		return "", err
	}
	var all bytes.Buffer
	for _, f := range files {
		if strings.HasSuffix(f, "_bundle.go") {
			continue
		}
		content, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		if all.Write(content); all.Len() >= size {
			break
		}
	}
	if all.Len() == 0 {
		return "", fmt.Errorf("%s is not there", pattern)
	}
	for all.Len() < size {
		all.Write(all.Bytes())
	}
	return strings.ToValidUTF8(all.String()[:size], ""), nil
}
