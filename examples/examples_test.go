package examples

import (
	"bufio"
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

// build makes the programs, without any key in the environment, and returns where they are.
func build(t *testing.T, names ...string) string {
	t.Helper()
	for _, key := range []string{"REDIS_ADDR", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY", "GROQ_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"} {
		t.Setenv(key, "")
	}
	bin := t.TempDir()
	args := []string{"build", "-o", bin}
	for _, name := range names {
		args = append(args, "./"+name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return bin
}

// Every example runs without a key, and says what it is there to say.
func TestExamples(t *testing.T) {
	examples := []struct {
		name string
		args []string
		says string
	}{
		{"openaigo", nil, "yes and now"},
		{"goopenai", nil, "yes and now"},
		{"limiter", nil, "shorten the input or lower max_tokens"},
		{"streaming", nil, "reserved 512 tokens, used "},
		{"embeddings", []string{"-out", filepath.Join(t.TempDir(), "vectors.jsonl")}, "1000 of 1000 lines"},
		{"images", []string{"-dir", t.TempDir()}, "a lighthouse in fog is in "},
		{"slog", nil, `msg="ratelimiter: call settled" ratelimiter.account=`},
		{"interactive", nil, "the batch is done"},
		{"classes", nil, "the batch has taken"},
		{"azure", nil, "yes and now"},
		{"bedrock", nil, "paid by [bedrock-mantle.us-west-2.api.aws]"},
		{"groq", nil, "rpd: 999 of 1000 remain, says x-ratelimit-limit-requests"},
		{"langchaingo", nil, "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,"},
		{"eino", nil, "not sent (too_large): ratelimiter: gpt-5.4-mini: needs 100,"},
		{"estimate", nil, "response that continues one         │              61 │         61 │"},
		{"otel", nil, "ratelimiter_requests_total  8"},
		{"sidecar", nil, "the proxy counted 8 calls, of which "},
		{"shadow", nil, "would have been rejected: "},
		{"websocket", nil, " tokens)"},
		{"redis", nil, "process two has made its calls after "},
		{"demo", []string{"-short"}, "TPM of gpt-5.4-mini"},
		{"fleet", []string{"-short"}, "killed"},
		{"projectlimits", nil, "gpt-image-1-mini: 20 of 20 ipm remain"},
	}
	names := make([]string, len(examples))
	for i, e := range examples {
		names[i] = e.name
	}
	bin := build(t, names...)
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), filepath.Join(bin, e.name), e.args...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), e.says) {
				t.Errorf("%v; want %q in:\n%s", err, e.says, out)
			}
		})
	}
}

// With a key, the examples that use OpenAI's SDK or langchaingo call the API: here that is where
// OPENAI_BASE_URL says, which they read.
func TestExamplesWithAKey(t *testing.T) {
	examples := []struct {
		name string
		args []string
		says string
	}{
		{"openaigo", nil, "yes and now"},
		{"langchaingo", nil, "a vector of "},
		{"streaming", nil, "reserved 512 tokens, used "},
		{"embeddings", []string{"-out", filepath.Join(t.TempDir(), "vectors.jsonl")}, "1000 of 1000 lines"},
		{"images", []string{"-dir", t.TempDir()}, "a lighthouse in fog is in "},
		{"slog", nil, `msg="ratelimiter: call settled" ratelimiter.account=`},
		{"interactive", nil, "the batch is done"},
		{"classes", nil, "the batch has taken"},
		{"estimate", nil, "response that continues one "},
		{"otel", nil, "ratelimiter_requests_total  8"},
		{"shadow", nil, "would have been rejected: "},
		{"redis", nil, "process two has made its calls after "},
	}
	names := make([]string, len(examples))
	for i, e := range examples {
		names[i] = e.name
	}
	bin := build(t, names...)
	const key = "sk-test"
	for _, e := range examples {
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
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, e.name), e.args...)
			cmd.Env = append(os.Environ(), "OPENAI_API_KEY="+key, "OPENAI_BASE_URL="+server.URL+"/v1")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), e.says) {
				t.Errorf("%v; want %q in:\n%s", err, e.says, out)
			}
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
	program := filepath.Join(build(t, "embeddings"), "embeddings")
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
	service := exec.CommandContext(t.Context(), filepath.Join(build(t, "service"), "service"))
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
