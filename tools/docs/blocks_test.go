package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const module = "github.com/openai-ratelimiter/ratelimiter"

// imports are the packages that blocks may use without saying so, by their names.
var imports = map[string]string{
	"ratelimiter":     module,
	"openaigo":        module + "/adapters/openaigo",
	"goopenai":        module + "/adapters/goopenai",
	"ratelimiterotel": module + "/adapters/otel",
	"redis":           module + "/backend/redis",
	"statuspage":      module + "/statuspage",
	"memory":          module + "/backend/memory",
	"backendtest":     module + "/backend/backendtest",
	"openaitest":      module + "/openaitest",
	"openai":          "github.com/openai/openai-go/v3",
	"option":          "github.com/openai/openai-go/v3/option",
	"goredis":         "github.com/redis/go-redis/v9",
	"atomic":          "sync/atomic",
	"context":         "context",
	"errors":          "errors",
	"fmt":             "fmt",
	"http":            "net/http",
	"log":             "log",
	"os":              "os",
	"slog":            "log/slog",
	"strings":         "strings",
	"sync":            "sync",
	"testing":         "testing",
	"time":            "time",
}

// goOpenAI is what "openai" means in a block that uses its adapter.
const goOpenAI = "github.com/sashabaranov/go-openai"

// given are the names that blocks may use without declaring them.
const given = `package p

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/openai-ratelimiter/ratelimiter"
	goredis "github.com/redis/go-redis/v9"
)

var (
	ctx      context.Context
	limiter  *ratelimiter.Limiter
	limits   ratelimiter.Limits
	call     ratelimiter.Call
	messages []ratelimiter.Message
	usage    ratelimiter.Usage
	logger   *slog.Logger
	base     http.RoundTripper
	server   *http.Server
	client   *goredis.Client
	key      string
	customer string
	err      error
)

func send(context.Context) (ratelimiter.Usage, error) { return ratelimiter.Usage{}, nil }
`

// Every block of Go compiles: a file as it is, declarations with what they import, and
// statements within a function. Only what is declared and not used is forgiven. Blocks of
// JSON and YAML are well-formed, and no block is in a language that nothing reads.
func TestBlocks(t *testing.T) {
	exports := compiled(t)
	fset := token.NewFileSet()
	gc := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("blocks can't import %s", path)
		}
		return os.Open(exports[path])
	})
	preamble, err := parser.ParseFile(fset, "given", given, 0)
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for name, p := range read(t) {
		for _, b := range p.blocks {
			where := fmt.Sprintf("%s:%d", name, b.line)
			switch b.language {
			case "go":
				blocks++
				for _, err := range compile(fset, gc, preamble, where, b.code) {
					t.Error(err)
				}
			case "json":
				if !json.Valid([]byte(b.code)) {
					t.Errorf("%s: no JSON", where)
				}
			case "yaml":
				d := yaml.NewDecoder(strings.NewReader(b.code))
				for {
					var any any
					if err := d.Decode(&any); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						t.Errorf("%s: %v", where, err)
						break
					}
				}
			case "sh":
				if out, err := exec.Command("sh", "-n", "-c", b.code).CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", where, err, out)
				}
			case "", "mermaid":
			default:
				t.Errorf("%s: nothing reads blocks of %s", where, b.language)
			}
		}
	}
	if blocks < 10 {
		t.Errorf("only %d blocks of Go were found", blocks)
	}
	for _, wrong := range []string{"limiter.Wait(ctx)", "x := limits.RPS", "return 1", "func f() { return 1 }", "var x int = key"} {
		if errs := compile(fset, gc, preamble, "wrong", wrong); len(errs) == 0 {
			t.Errorf("this compiles: %s", wrong)
		}
	}
}

// compiled are the compiled forms of what blocks may import, and of what that imports.
func compiled(t *testing.T) map[string]string {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", goOpenAI}
	for _, path := range imports {
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root // at the lowest versions that the library needs
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	return exports
}

// compile returns what is wrong with a block.
func compile(fset *token.FileSet, imp types.Importer, preamble *ast.File, where, code string) (wrong []error) {
	f, err := file(fset, where, code)
	if err != nil {
		return []error{err}
	}
	config := types.Config{Importer: imp, Error: func(err error) {
		if e := (types.Error{}); !errors.As(err, &e) || !e.Soft {
			wrong = append(wrong, err)
		}
	}}
	files := []*ast.File{f}
	if f.Name.Name == preamble.Name.Name {
		files = append(files, preamble)
	}
	config.Check("p", fset, files, nil) // its errors have come to Error
	return wrong
}

// file makes a file of a block.
func file(fset *token.FileSet, where, code string) (*ast.File, error) {
	if strings.HasPrefix(code, "package ") {
		return parser.ParseFile(fset, where, code, 0)
	}
	var head strings.Builder
	head.WriteString("package p\n")
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		path := imports[name]
		if !regexp.MustCompile(`\b` + name + `\.`).MatchString(code) {
			continue
		}
		if name == "openai" && strings.Contains(code, "goopenai.") {
			path = goOpenAI
		}
		fmt.Fprintf(&head, "import %s %q\n", name, path)
	}
	// The positions that errors name are those of the page.
	place := fmt.Sprintf("//line %s\n", where)
	if f, err := parser.ParseFile(fset, "", head.String()+place+code, 0); err == nil {
		return f, nil
	}
	return parser.ParseFile(fset, "", head.String()+"func _() (err error) {{\n"+place+code+"\n}\nreturn nil}\n", 0)
}
