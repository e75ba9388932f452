// Size prints by how much a program grows that imports the limiter, what its start takes, and
// the bars for that.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The bars: of the growth in MB, with symbols, and of the initialization in ms.
const (
	maxGrowth = 9
	maxInit   = 1
)

const program = `package main

import (
	"log"
	"net/http"
%s)

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:0", %s)) }
`

var (
	bare = fmt.Sprintf(program, "", "nil")

	// Who wants a limiter makes calls, so this part of its growth is net/http's client.
	calling = fmt.Sprintf(program, "", `http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = new(http.Client).Get("https://api.openai.com/v1/models")
})`)

	limiting = fmt.Sprintf(program, `
	"github.com/openai-ratelimiter/ratelimiter"
`, `http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	limiter, err := ratelimiter.New()
	if err != nil {
		log.Fatal(err)
	}
	_, _ = limiter.Client(nil).Get("https://api.openai.com/v1/models")
})`)
)

// starting says how many goroutines there are once a limiter has been made.
const starting = `package main

import (
	"fmt"
	"log"
	"runtime"

	"github.com/openai-ratelimiter/ratelimiter"
)

func main() {
	limiter, err := ratelimiter.New()
	if err != nil {
		log.Fatal(err)
	}
	client := limiter.Client(nil)
	fmt.Println(runtime.NumGoroutine())
	runtime.KeepAlive(client)
}
`

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
	fmt.Println("| a program | MB | more MB | without symbols | more | bar |")
	fmt.Println("|---|--:|--:|--:|--:|---|")
	var first sizes
	for i, p := range []struct {
		name, tags, text string
		barred           bool
	}{
		{"with net/http", "", bare, false},
		{"that makes a call", "", calling, false},
		{"that makes it through a limiter", "", limiting, true},
		{"that does so with the tag `ratelimiter_notables`", "ratelimiter_notables", limiting, false},
	} {
		s, err := build(dir, p.tags, p.text)
		if err != nil {
			return fmt.Errorf("building a program %s: %w", p.name, err)
		}
		if i == 0 {
			first = s
		}
		more := sizes{s.full - first.full, s.stripped - first.stripped}
		bar := ""
		if p.barred {
			bar = fmt.Sprintf("≤ %d MB more", maxGrowth)
			if more.full > maxGrowth {
				bar = "**missed:** " + bar
			}
		}
		fmt.Printf("| %s | %.2f | %.2f | %.2f | %.2f | %s |\n", p.name, s.full, more.full, s.stripped, more.stripped, bar)
	}
	return start(dir)
}

// start measures what happens before the first call.
func start(dir string) error {
	if _, err := build(dir, "", starting); err != nil {
		return fmt.Errorf("building a program that starts: %w", err)
	}
	const runs = 9
	best, goroutines := 0.0, 0
	for i := range runs {
		program := exec.Command(filepath.Join(dir, "program"))
		program.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		var trace strings.Builder
		program.Stderr = &trace
		out, err := program.Output()
		if err != nil {
			return err
		}
		if goroutines, err = strconv.Atoi(strings.TrimSpace(string(out))); err != nil {
			return err
		}
		all := 0.0
		ours := initialized.FindAllStringSubmatch(trace.String(), -1)
		if len(ours) == 0 {
			return errors.New("nothing of the library is initialized, as Go says")
		}
		for _, m := range ours {
			ms, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return err
			}
			all += ms
		}
		if i == 0 || all < best {
			best = all
		}
	}
	missed := func(is bool) string {
		if is {
			return "**missed:** "
		}
		return ""
	}
	fmt.Println("\n| before the first call | | bar |\n|---|--:|---|")
	fmt.Printf("| initialization of the library's packages, best of %d | %.2f ms | %s≤ %d ms |\n", runs, best, missed(best > maxInit), maxInit)
	fmt.Printf("| goroutines, once New has returned | %d | %s1, which is main's |\n", goroutines, missed(goroutines > 1))
	return nil
}

// initialized finds what Go says of the library's packages.
var initialized = regexp.MustCompile(`(?m)^init github\.com/openai-ratelimiter/\S+ @\S+ ms, (\S+) ms clock`)

// Sizes are those of a program in MB, with symbols and without.
type sizes struct{ full, stripped float64 }

func build(dir, tags, text string) (s sizes, err error) {
	file, exe := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return s, err
	}
	for _, b := range []struct {
		ldflags string
		size    *float64
	}{{"", &s.full}, {"-s -w", &s.stripped}} {
		build := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", b.ldflags, "-o", exe, file)
		if out, err := build.CombinedOutput(); err != nil {
			return s, fmt.Errorf("%w: %s", err, out)
		}
		info, err := os.Stat(exe)
		if err != nil {
			return s, err
		}
		*b.size = float64(info.Size()) / 1e6
	}
	return s, nil
}
