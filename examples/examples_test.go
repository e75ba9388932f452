package examples

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// built is the directory of the programs of all examples, which all tests share.
var built = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "build", "-o", dir, "./...").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, out)
	}
	return dir, err
})

var dir string // which TestMain removes

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// programs returns where they are, and leaves no key in the environment.
func programs(t *testing.T) string {
	t.Helper()
	for _, key := range []string{"REDIS_ADDR", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY", "GROQ_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"} {
		t.Setenv(key, "")
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// An example is what one of them says where it runs without a key, and with one; "" where it
// does not call an API that a key and OPENAI_BASE_URL name.
type example struct {
	name          string
	says, withKey string
	args          func(t *testing.T) []string
}

func examples() []example {
	in := func(flag, file string) func(*testing.T) []string {
		return func(t *testing.T) []string { return []string{flag, filepath.Join(t.TempDir(), file)} }
	}
	short := func(*testing.T) []string { return []string{"-short"} }
	return []example{
		{name: "openaigo", says: "yes and now", withKey: "yes and now"},
		{name: "goopenai", says: "yes and now"},
		{name: "limiter", says: "shorten the input or lower max_tokens"},
		{name: "streaming", says: "reserved 512 tokens, used ", withKey: "reserved 512 tokens, used "},
		{name: "embeddings", args: in("-out", "vectors.jsonl"), says: "1000 of 1000 lines", withKey: "1000 of 1000 lines"},
		{name: "images", args: in("-dir", ""), says: "a lighthouse in fog is in ", withKey: "a lighthouse in fog is in "},
		{name: "slog", says: `msg="ratelimiter: call settled" ratelimiter.account=`, withKey: `msg="ratelimiter: call settled" ratelimiter.account=`},
		{name: "interactive", says: "the batch is done", withKey: "the batch is done"},
		{name: "classes", says: "the batch has taken", withKey: "the batch has taken"},
		{name: "azure", says: "yes and now"},
		{name: "bedrock", says: "paid by [bedrock-mantle.us-west-2.api.aws]"},
		{name: "groq", says: "rpd: 999 of 1000 remain, says x-ratelimit-limit-requests"},
		{name: "langchaingo", says: "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,", withKey: "a vector of "},
		{name: "eino", says: "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,"},
		{name: "estimate", says: "response that continues one         │              61 │         61 │", withKey: "response that continues one "},
		{name: "otel", says: "ratelimiter_requests_total  8", withKey: "ratelimiter_requests_total  8"},
		{name: "sidecar", says: "the proxy counted 8 calls, of which "},
		{name: "shadow", says: "would have been rejected: ", withKey: "would have been rejected: "},
		{name: "websocket", says: " tokens)"},
		{name: "redis", says: "process two has made its calls after ", withKey: "process two has made its calls after "},
		{name: "demo", args: short, says: "TPM of gpt-5.4-mini"},
		{name: "fleet", args: short, says: "killed"},
		{name: "projectlimits", says: "gpt-image-1-mini: 20 of 20 ipm remain"},
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
}

// Every example runs without a key, and says what it is there to say.
func TestExamples(t *testing.T) {
	bin := programs(t)
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) { e.run(t, bin, e.says) })
	}
}

// With a key, the examples that use OpenAI's SDK or langchaingo call the API: here that is where
// OPENAI_BASE_URL says, which they read.
func TestExamplesWithAKey(t *testing.T) {
	bin := programs(t)
	const key = "sk-test"
	for _, e := range examples() {
		if e.withKey == "" {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			api := openaitest.New(openaitest.WithLatency(50*time.Millisecond, 200*time.Millisecond))
			var calls, keyless atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if r.Header.Get("Authorization") != "Bearer "+key {
					keyless.Add(1)
				}
				api.ServeHTTP(w, r)
			}))
			defer server.Close()
			e.run(t, bin, e.withKey, "OPENAI_API_KEY="+key, "OPENAI_BASE_URL="+server.URL+"/v1")
			if calls.Load() == 0 || keyless.Load() > 0 {
				t.Errorf("%d calls have come, %d of them without the key", calls.Load(), keyless.Load())
			}
		})
	}
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
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Fatalf("%v; want %q at the beginning of:\n%s", err, want, out)
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
	service := exec.CommandContext(t.Context(), filepath.Join(programs(t), "service"))
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
