// Package release does what a user does after a release: go get, build, run.
package release

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	root = "../.."
	path = "github.com/openai-ratelimiter/ratelimiter"
	// version is none that will ever be released, and higher than any.
	version = "v0.9999.0"
)

// A program outside the repository gets the module from a proxy, as it would be released
// from this tree, builds everything that it offers, and runs.
func TestEverythingThatIsOffered(t *testing.T) {
	p := newProgram(t, proxy(t))
	p.get(path, path+"/adapters/openaigo", path+"/adapters/goopenai", path+"/adapters/otel", path+"/backend/redis", path+"/openaitest", path+"/statuspage")
	p.write("main.go", everything)
	p.run("go", "vet", "-trimpath", "./...")
	if out := p.run("go", "run", "-trimpath", "."); !strings.Contains(out, "openai-go: 1; both: 2; page: 200 true") {
		t.Errorf("it says %s", out)
	}
}

// A program that keeps its budget in memory builds with the standard library alone, and
// downloads no code but this module's.
func TestTheLibraryAlone(t *testing.T) {
	p := newProgram(t, proxy(t))
	p.get(path)
	p.write("main.go", alone)
	if out := p.run("go", "run", "-trimpath", "."); !strings.Contains(out, "10 tokens") {
		t.Errorf("it says %s", out)
	}
	sums, err := os.ReadFile(filepath.Join(p.dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		if got := strings.Fields(line); got[0] != path && !strings.HasSuffix(got[1], "/go.mod") {
			t.Errorf("it downloads %s %s", got[0], got[1])
		}
	}
	n := 0
	for _, dep := range strings.Fields(p.run("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")) {
		n++
		if dep != path && !strings.HasPrefix(dep, path+"/") && dep != scratch {
			t.Errorf("it builds %s", dep)
		}
	}
	if n < 10 {
		t.Errorf("only %d packages were listed", n)
	}
}

// proxy makes a module proxy of the tree and returns its directory.
func proxy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	versions := filepath.Join(dir, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := zip.CreateFromDir(f, module.Version{Path: path, Version: version}, root); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 10<<20 {
		t.Errorf("the module's zip has %d bytes: %v", info.Size(), err)
	}
	return dir
}

// A program is a module of a user's.
type program struct {
	t   *testing.T
	dir string
	env []string
}

const scratch = "example.com/scratch"

func newProgram(t *testing.T, proxy string) *program {
	t.Helper()
	out, err := exec.Command("go", "env", "-json", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	var env struct{ GOMODCACHE, GOPROXY string }
	if err := json.Unmarshal(out, &env); err != nil {
		t.Fatal(err)
	}
	// A cache of modules for itself, or it would see an earlier tree under the same
	// version. What is not of this tree comes from the user's cache, where it is there.
	modules := t.TempDir()
	p := &program{t: t, dir: t.TempDir(), env: append(os.Environ(),
		"GOMODCACHE="+modules,
		"GOPROXY="+strings.Join([]string{"file://" + proxy, "file://" + filepath.ToSlash(env.GOMODCACHE) + "/cache/download", env.GOPROXY}, ","),
		"GOSUMDB=off", // it has never heard of this version; the others are in the library's go.sum
		"GOFLAGS=-modcacherw",
		"GOWORK=off",
		"GOTOOLCHAIN=local",
	)}
	p.run("go", "mod", "init", scratch)
	return p
}

// get requires the packages, as they are in the tree.
func (p *program) get(packages ...string) {
	p.t.Helper()
	args := []string{"get"}
	for _, path := range packages {
		args = append(args, path+"@"+version)
	}
	p.run("go", args...)
}

func (p *program) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), fs.FileMode(0o644)); err != nil {
		p.t.Fatal(err)
	}
}

// run returns what a command says.
func (p *program) run(name string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), name, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

const alone = `package main

import (
	"context"
	"fmt"
	"log"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

func main() {
	limiter, err := ratelimiter.New(ratelimiter.WithBackend(memory.New()), ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 100}))
	if err != nil {
		log.Fatal(err)
	}
	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "m", Tokens: 10})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Cancel()
	fmt.Println(r.Cost().Tokens, "tokens")
}
`

const everything = `package main

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goredis "github.com/redis/go-redis/v9"
	goopenaisdk "github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

const model = "gpt-5.4-mini"

func main() {
	api := openaitest.New(openaitest.WithLimits(model, openaitest.Limits{RPM: 600, TPM: 100_000}))
	server := httptest.NewServer(api)
	defer server.Close()

	// It is made and not asked: no Redis runs here.
	shared, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"}))))
	if err != nil {
		log.Fatal(err)
	}
	if err := shared.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}

	page := statuspage.New()
	limiter, err := ratelimiter.New(page, ratelimiterotel.WithMetrics(), ratelimiterotel.WithTraces())
	if err != nil {
		log.Fatal(err)
	}
	first := openai.NewClient(option.WithAPIKey("one"), option.WithBaseURL(server.URL+"/v1"), openaigo.WithLimiter(limiter, nil))
	if _, err := first.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")}, MaxCompletionTokens: openai.Int(10),
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Print("openai-go: ", api.Account(model).Admitted, "; ")

	config := goopenaisdk.DefaultConfig("two")
	config.BaseURL = server.URL + "/v1"
	second := goopenaisdk.NewClientWithConfig(goopenai.WithLimiter(config, limiter))
	if _, err := second.CreateChatCompletion(context.Background(), goopenaisdk.ChatCompletionRequest{
		Model: model, Messages: []goopenaisdk.ChatCompletionMessage{{Role: "user", Content: "Hello"}}, MaxTokens: 10,
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Print("both: ", api.Account(model).Admitted, "; ")

	shown := httptest.NewRecorder() // from the files that the module embeds
	page.ServeHTTP(shown, httptest.NewRequest("GET", "/status", nil))
	fmt.Println("page:", shown.Code, shown.Body.Len() > 0)
}
`
