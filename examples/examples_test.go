package examples

import (
	"bufio"
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// built is the directory of the programs of all examples, which all tests share. The proxy is
// built too, so that the example sidecar, which builds it, finds its modules downloaded.
var built = sync.OnceValues(func() (string, error) {
	for _, args := range [][]string{{"build", "-o", dir, "./..."}, {"build", "-C", "../cmd/ratelimiter", "-o", os.DevNull, "."}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w:\n%s", err, out)
		}
	}
	return dir, nil
})

var dir string // which TestMain removes

// TestMain leaves nothing in the environment that says where to call whom with which key.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range []string{"OPENAI_", "AZURE_OPENAI_", "GROQ_", "AWS_", "REDIS_"} {
			if strings.HasPrefix(name, prefix) {
				os.Unsetenv(name)
			}
		}
	}
	var err error
	if dir, err = os.MkdirTemp("", "examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// programs returns where they are.
func programs(t *testing.T) string {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// An example is what one of them says where it runs without a key, and with one; withKey is ""
// where a key changes nothing.
type example struct {
	name          string
	says, withKey string
	args          func(t *testing.T) []string
	key           string // the variable that holds it, OPENAI_API_KEY if empty
}

func examples() []example {
	in := func(flag, file string) func(*testing.T) []string {
		return func(t *testing.T) []string { return []string{flag, filepath.Join(t.TempDir(), file)} }
	}
	short := func(*testing.T) []string { return []string{"-short"} }
	return []example{
		{name: "openaigo", says: "yes and now", withKey: "yes and now"},
		{name: "goopenai", says: "yes and now", withKey: "yes and now"},
		{name: "limiter", says: "shorten the input or lower max_tokens"},
		{name: "streaming", says: "reserved 512 tokens, used ", withKey: "reserved 512 tokens, used "},
		{name: "embeddings", args: in("-out", "vectors.jsonl"), says: "1000 of 1000 lines", withKey: "1000 of 1000 lines"},
		{name: "images", args: in("-dir", ""), says: "a lighthouse in fog is in ", withKey: "a lighthouse in fog is in "},
		{name: "slog", says: `msg="ratelimiter: call settled" ratelimiter.account=`, withKey: `msg="ratelimiter: call settled" ratelimiter.account=`},
		{name: "interactive", says: "the batch is done", withKey: "the batch is done"},
		{name: "classes", says: "the batch has taken", withKey: "the batch has taken"},
		{name: "azure", says: "yes and now", withKey: "yes and now", key: "AZURE_OPENAI_API_KEY"},
		{name: "bedrock", says: "paid by [bedrock-mantle.us-west-2.api.aws]", withKey: "paid by [bedrock-mantle.us-west-2.api.aws]", key: "AWS_BEARER_TOKEN_BEDROCK"},
		{name: "groq", says: "rpd: 999 of 1000 remain, says x-ratelimit-limit-requests", withKey: "rpd: 999 of 1000 remain, says x-ratelimit-limit-requests", key: "GROQ_API_KEY"},
		{name: "langchaingo", says: "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,", withKey: "a vector of "},
		{name: "eino", says: "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,", withKey: "a vector of "},
		{name: "estimate", says: "response that continues one         │              61 │         61 │", withKey: "response that continues one "},
		{name: "otel", says: "ratelimiter_requests_total  8", withKey: "ratelimiter_requests_total  8"},
		{name: "sidecar", says: "calls that the proxy counted: 8, of which ", withKey: "calls that the proxy counted: 8, of which "},
		{name: "shadow", says: "would have been rejected: ", withKey: "would have been rejected: "},
		{name: "websocket", says: " tokens)", withKey: " tokens)"},
		{name: "redis", says: "process two has made its calls after ", withKey: "process two has made its calls after "},
		{name: "demo", args: short, says: "TPM of gpt-5.4-mini"},
		{name: "fleet", args: short, says: "killed"},
		{name: "projectlimits", says: "gpt-image-1-mini: 20 of 20 ipm remain", withKey: "gpt-image-1-mini: 20 of 20 ipm remain", key: "OPENAI_ADMIN_KEY"},
	}
}

// run runs the program with more in its environment, and fails the test unless it says so.
func (e *example) run(t *testing.T, bin, says string, environment ...string) {
	t.Helper()
	var args []string
	if e.args != nil {
		args = e.args(t)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, e.name), args...)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), says) {
		t.Errorf("%v; want %q in:\n%s", err, says, out)
	}
	if e.name == "openaigo" && strings.Contains(string(out), "a stand-in for the API") == (len(environment) > 0) {
		t.Errorf("it does not say what it calls:\n%s", out)
	}
}

// Every example runs without a key, and says what it is there to say.
func TestExamples(t *testing.T) {
	bin := programs(t)
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			e.run(t, bin, e.says)
		})
	}
}

// With a key, each example calls the host that it is for, and hands the key over.
func TestExamplesWithAKey(t *testing.T) {
	bin := programs(t)
	for _, e := range examples() {
		if e.withKey == "" {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			h := newHosts()
			e.run(t, bin, e.withKey, append(h.environment(t), cmp.Or(e.key, "OPENAI_API_KEY")+"="+h.key)...)
			if h.calls.Load() == 0 || h.keyless.Load() > 0 {
				t.Errorf("%d calls have come, %d of them without the key", h.calls.Load(), h.keyless.Load())
			}
		})
	}
}

func newHosts() *hosts {
	return &hosts{key: "sk-test", apis: map[string]http.Handler{
		"api.openai.com":                   standin.API(),
		"example.openai.azure.com":         standin.API(openaitest.WithDialect(openaitest.Azure)),
		"bedrock-mantle.us-west-2.api.aws": standin.API(openaitest.WithHeaders(false)),
		"api.groq.com": http.StripPrefix("/openai", standin.API(openaitest.WithDialect(openaitest.Groq),
			openaitest.WithLimits("openai/gpt-oss-20b", openaitest.Limits{RPM: 30, RPD: 1000, TPM: 8000}))),
	}}
}

// What an interrupted run has written is not embedded again, but for a line that is not whole.
func TestEmbeddingsResume(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vectors.jsonl")
	if err := os.WriteFile(file, []byte(strings.Repeat("[0.5]\n", 150)+"[0.1, 0.2"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(programs(t), "embeddings")
	for _, want := range []string{"150 of 1000 lines were done already\n250 of 1000 lines\n", "1000 of 1000 lines were done already\n"} {
		out, err := exec.CommandContext(t.Context(), program, "-out", file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v; want %q in:\n%s", err, want, out)
		}
	}
	vectors, err := os.ReadFile(file)
	if lines := strings.Count(string(vectors), "\n"); err != nil || lines != 1000 || strings.Contains(string(vectors), "0.2[") {
		t.Errorf("%d lines, %v", lines, err)
	}
}

// The service says 503 to those who would wait for too long, and ends in order with calls in
// line.
func TestService(t *testing.T) {
	bin := programs(t)
	t.Run("without a key", func(t *testing.T) { testService(t, bin) })
	t.Run("with a key", func(t *testing.T) {
		h := newHosts()
		testService(t, bin, append(h.environment(t), "OPENAI_API_KEY="+h.key)...)
		if h.calls.Load() == 0 || h.keyless.Load() > 0 {
			t.Errorf("%d calls have come, %d of them without the key", h.calls.Load(), h.keyless.Load())
		}
	})
}

func testService(t *testing.T, bin string, environment ...string) {
	service := exec.CommandContext(t.Context(), filepath.Join(bin, "service"))
	service.Env = append(os.Environ(), environment...)
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	url, ok := strings.CutPrefix(lines.Text(), "serving ")
	if !ok {
		t.Fatalf("it says %q", lines.Text())
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	var once sync.Once
	for range 40 {
		wg.Go(func() {
			resp, err := http.Get(url + "/?q=Name+a+star")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode == http.StatusServiceUnavailable && (err != nil || after < 1) {
				t.Errorf("a 503 has Retry-After %q", resp.Header.Get("Retry-After"))
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
			if statuses[http.StatusOK] > 0 && statuses[http.StatusServiceUnavailable] > 0 {
				once.Do(func() { _ = service.Process.Signal(syscall.SIGTERM) })
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusOK] == 0 || statuses[http.StatusServiceUnavailable] == 0 || len(statuses) != 2 {
		t.Errorf("statuses %v", statuses)
	}
	for lines.Scan() {
		if lines.Text() == "shut down" {
			ok = false
		}
	}
	if err := service.Wait(); err != nil || ok {
		t.Errorf("it has not ended in order: %v", err)
	}
}
