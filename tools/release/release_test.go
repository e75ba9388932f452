package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	root = "../.."
	path = library
	// version is none that will ever be released, and higher than any.
	version = "v0.9999.0"
)

// A program outside the repository gets the module from a module proxy, as it would be released
// from this tree, builds everything that it offers, and runs.
func TestEverythingThatIsOffered(t *testing.T) {
	p := newProgram(t)
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
	p := newProgram(t)
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

// The proxy is installed from its release by go install, which takes no replacements, and built
// for all from a checkout of its tag, whose go.sum must then be right.
func TestTheProxy(t *testing.T) {
	p := newProgram(t)
	repository, err := released()
	if err != nil {
		t.Fatal(err)
	}
	checkout := filepath.Join(t.TempDir(), "checkout")
	if err := in(repository, "git", "worktree", "add", "--quiet", "--detach", checkout, proxy+"/"+version); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	p.env = append(p.env, "GOBIN="+bin)
	p.run("go", "install", "-trimpath", path+"/"+proxy+"@"+version)
	p.dir = filepath.Join(checkout, filepath.FromSlash(proxy))
	p.run("go", "build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-o", filepath.Join(bin, "built"), ".")
	for program, says := range map[string]string{"ratelimiter": version, "built": "(devel)"} {
		if out := p.run(filepath.Join(bin, program), "-version"); !strings.HasPrefix(out, "ratelimiter "+says+" go1.") {
			t.Errorf("%s says it is %s", program, out)
		}
	}
}

// What make dist builds says which release it is, and comes with its licenses and checksums.
func TestDist(t *testing.T) {
	repository, err := released()
	if err != nil {
		t.Fatal(err)
	}
	system := runtime.GOOS + "/" + runtime.GOARCH
	if err := in(repository, "make", "--no-print-directory", "dist", "VERSION="+version, "SYSTEMS="+system); err != nil {
		t.Fatal(err)
	}
	dist := filepath.Join(repository, "dist")
	name := "ratelimiter_" + version + "_" + runtime.GOOS + "_" + runtime.GOARCH
	p := &program{t: t, dir: dist, env: os.Environ()}
	p.run("tar", "-xzf", name+".tar.gz")
	if out := p.run(filepath.Join(dist, name, "ratelimiter"), "-version"); !strings.HasPrefix(out, "ratelimiter "+version+" ") {
		t.Errorf("it says it is %s", out)
	}
	for file, has := range map[string]string{
		name + "/LICENSES": "==== go.opentelemetry.io/otel\n",
		"SHA256SUMS":       "  " + name + ".tar.gz\n",
		"NOTES.md":         "### Added\n",
	} {
		text, err := os.ReadFile(filepath.Join(dist, file))
		if err != nil || !strings.Contains(string(text), has) {
			t.Errorf("%s has no %q: %v", file, has, err)
		}
	}
}

// A release is not made of what nobody has written down, and not twice.
func TestReleaseRefuses(t *testing.T) {
	repository, err := released()
	if err != nil {
		t.Fatal(err)
	}
	for version, why := range map[string]string{
		"":       "must be like v1.2.3",
		"1.2.3":  "must be like v1.2.3",
		"v1.2.3": "CHANGELOG.md has no section [1.2.3]",
		version:  "there is a tag " + version,
	} {
		if err := in(repository, "make", "--no-print-directory", "release", "VERSION="+version); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("VERSION=%s: %v; want %q", version, err, why)
		}
	}
}

// proxied is the directory of a module proxy that serves the tree, released.
var proxied = sync.OnceValues(func() (string, error) {
	repository, err := released()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratchDir, "proxy")
	return dir, errors.Join(serve(dir, repository, "", library), serve(dir, repository, proxy, library+"/"+proxy))
})

// scratchDir is what all tests share, and TestMain removes.
var scratchDir string

func TestMain(m *testing.M) {
	var err error
	if scratchDir, err = os.MkdirTemp("", "release"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratchDir)
	os.Exit(code)
}

// released is a repository of the tree as it is, in which make release has been run.
var released = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratchDir, "repository")
	if err := copyTree(dir); err != nil {
		return "", err
	}
	changes := filepath.Join(dir, "CHANGELOG.md")
	if err := edit(changes, func(text []byte) ([]byte, error) {
		section := fmt.Sprintf("## [Unreleased]\n\n## [%s] - 2027-01-01\n", strings.TrimPrefix(version, "v"))
		return bytes.Replace(text, []byte("## [Unreleased]\n"), []byte(section), 1), nil
	}); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"git", "init", "--quiet"},
		{"git", "add", "--all"},
		{"git", "commit", "--quiet", "--message", "All of it"},
		{"make", "--no-print-directory", "release", "VERSION=" + version},
	} {
		if err := in(dir, args...); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// in runs a command in a repository, with an identity for its commits.
func in(dir string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// copyTree copies the tree, without its repository.
func copyTree(dir string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		switch {
		case rel == ".git" && d.IsDir(), d.Name() == "node_modules":
			return fs.SkipDir
		case rel == ".git": // of a worktree
			return nil
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, info.Mode().Perm())
	})
}

// serve puts a module of the repository, at its tag, into a proxy's directory.
func serve(dir, repository, subdir, path string) error {
	tag := filepath.ToSlash(filepath.Join(subdir, version))
	versions := filepath.Join(dir, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		return err
	}
	show := exec.Command("git", "show", tag+":"+filepath.ToSlash(filepath.Join(subdir, "go.mod")))
	show.Dir = repository
	mod, err := show.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", show, err)
	}
	for name, content := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		return err
	}
	err = zip.CreateFromVCS(f, module.Version{Path: path, Version: version}, repository, tag, subdir)
	if info, statErr := f.Stat(); statErr != nil {
		err = errors.Join(err, statErr)
	} else if info.Size() > 10<<20 {
		err = errors.Join(err, fmt.Errorf("the zip of %s has %d bytes", path, info.Size()))
	}
	return errors.Join(err, f.Close())
}

// A program is a module of a user's.
type program struct {
	t   *testing.T
	dir string
	env []string
}

const scratch = "example.com/scratch"

func newProgram(t *testing.T) *program {
	t.Helper()
	proxy, err := proxied()
	if err != nil {
		t.Fatal(err)
	}
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
