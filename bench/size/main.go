// Size prints by how much a program grows that imports the limiter.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const program = `package main

import (
	"log"
	"net/http"
%s)

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:0", %s)) }
`

var withLimiter = fmt.Sprintf(program, `
	"github.com/openai-ratelimiter/ratelimiter"
`, `http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	limiter, err := ratelimiter.New()
	if err != nil {
		log.Fatal(err)
	}
	_, _ = limiter.Client(nil).Get("https://api.openai.com/v1/models")
})`)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("| a program | MB | without symbols |")
	fmt.Println("|---|--:|--:|")
	for _, p := range []struct{ name, tags, text string }{
		{"with net/http", "", fmt.Sprintf(program, "", "nil")},
		{"that imports the limiter", "", withLimiter},
		{"that imports it, with the tag `ratelimiter_notables`", "ratelimiter_notables", withLimiter},
	} {
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(p.text), 0o600); err != nil {
			return err
		}
		var sizes [2]float64
		for i, ldflags := range []string{"", "-s -w"} {
			exe := filepath.Join(dir, "program")
			build := exec.Command("go", "build", "-trimpath", "-tags", p.tags, "-ldflags", ldflags, "-o", exe, file)
			if out, err := build.CombinedOutput(); err != nil {
				return fmt.Errorf("building a program %s: %w: %s", p.name, err, out)
			}
			info, err := os.Stat(exe)
			if err != nil {
				return err
			}
			sizes[i] = float64(info.Size()) / 1e6
		}
		fmt.Printf("| %s | %.2f | %.2f |\n", p.name, sizes[0], sizes[1])
	}
	return nil
}
