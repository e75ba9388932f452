package main

import (
	_ "embed" // the texts
	"encoding/base64"
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
)

var (
	// Out of Isaac Newton's Opticks, as Project Gutenberg has it.
	//go:embed texts/english.txt
	english string
)

// A text is something to count the tokens of.
type text struct {
	name, content string
}

// ordinary returns what people send: English, code and Chinese, of each size.
func ordinary(sizes ...int) ([]text, error) {
	// Long enough, written by people, and on every machine with Go.
	code, err := os.ReadFile(filepath.Join(build.Default.GOROOT, "src/net/http/server.go"))
	if err != nil {
		return nil, err
	}
	// Never twice in the same order, so that the processor cannot learn it.
	sentences := texttest.Shuffled(rand.New(rand.NewPCG(1, 2)), texttest.Chinese, 110_000)
	var texts []text
	for _, size := range sizes {
		for _, t := range []text{{"English", english}, {"code", string(code)}, {"Chinese", sentences}} {
			name := fmt.Sprintf("%s, %d kB", t.name, size/1000)
			texts = append(texts, text{name, strings.ToValidUTF8(t.content[:size], "")})
		}
	}
	return texts, nil
}

// hostile returns 100 kB each of what makes tokenizers slow.
func hostile() []text {
	const size = 100_000
	noise := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(noise)
	return []text{
		{"one letter, 100 kB", strings.Repeat("a", size)},
		{"spaces, 100 kB", strings.Repeat(" ", size)},
		{"random base64, 100 kB", base64.StdEncoding.EncodeToString(noise)[:size]},
	}
}
