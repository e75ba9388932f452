package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// An app is a program in another language that calls the API through the proxy.
type app []string

// nodeApp is the one with OpenAI's SDK for Node, which npm installs.
func nodeApp(t *testing.T) app {
	t.Helper()
	if !long() {
		t.Skip("make test-sidecar runs it, for it needs Node and npm")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return app{"node", filepath.Join(dir, "app.mjs")}
}

// start runs steps and returns what waits for their results.
func (a app) start(t *testing.T, url string, steps ...string) func() []map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, a[0], append(a[1:len(a):len(a)], steps...)...)
	cmd.Env = append(os.Environ(), "OPENAI_BASE_URL="+url+"/v1", "OPENAI_API_KEY="+secretKey, "OPENAI_LOG=off")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() []map[string]any {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
		}
		var results []map[string]any
		for lines := bufio.NewScanner(&out); lines.Scan(); {
			result := map[string]any{}
			if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
				t.Fatal(err)
			}
			results = append(results, result)
		}
		if len(results) != len(steps) {
			t.Fatalf("%d results of %v\n%s", len(results), steps, stderr.String())
		}
		return results
	}
}

// want compares some of a result's values.
func want(t *testing.T, result map[string]any, values map[string]any) {
	t.Helper()
	for name, value := range values {
		if fmt.Sprint(result[name]) != fmt.Sprint(value) {
			t.Errorf("%v: %s is %v, want %v", result, name, result[name], value)
		}
	}
}

// answered is the stand-in's answer of two tokens.
const answered = " yes and"

func TestNodeSDK(t *testing.T) {
	node := nodeApp(t)
	t.Run("calls", func(t *testing.T) {
		a := serveAPI(t, nil)
		r := launch(t, "-upstream", a.url, "-limits", "m=rpm:1k,tpm:100k", "-classes", "batch=weight:0.5")
		steps := []string{"chat", "stream", "responses", "embeddings", "class"}
		through, direct := node.start(t, r.url, steps...)(), node.start(t, a.url, steps...)()
		for i, result := range through {
			want(t, result, direct[i])
			want(t, result, map[string]any{"attempts": 1})
		}
		want(t, through[2], map[string]any{"event": "response.completed"})
		if started := fmt.Sprint(r.metric("ratelimiter_requests_total")); !strings.Contains(started, "batch") {
			t.Errorf("no call is of the class: %s", started)
		}
	})

	// What the proxy rejects is an error of the SDK's own at once, with all that it says.
	t.Run("rejections", func(t *testing.T) {
		a := serveAPI(t, nil)
		r := launch(t, "-upstream", a.url, "-limits", "m=rpm:1", "-max-wait", "1s")
		results := node.start(t, r.url, "chat", "chat")()
		want(t, results[0], map[string]any{"attempts": 1, "text": answered})
		want(t, results[1], map[string]any{"attempts": 1, "error": "RateLimitError", "status": 429, "code": "max_wait", "type": "ratelimiter"})
		if after, err := time.ParseDuration(fmt.Sprint(results[1]["retryAfter"], "s")); err != nil || after < 40*time.Second || after > time.Minute {
			t.Errorf("Retry-After is %v, %v", results[1]["retryAfter"], err)
		}
		r = launch(t, "-upstream", a.url, "-limits", "m=tpm:5")
		want(t, node.start(t, r.url, "stream")()[0], map[string]any{"attempts": 1, "error": "RateLimitError", "code": "too_large", "retryAfter": nil})
	})

	// The API's own 429 passes; the SDK waits for as long as it says and tries again.
	t.Run("throttle", func(t *testing.T) {
		var mu sync.Mutex
		var arrived []time.Time
		a := serveAPI(t, nil, openaitest.WithLog(func(r openaitest.Record) {
			mu.Lock()
			defer mu.Unlock()
			arrived = append(arrived, r.Arrived)
		}))
		const pause = 2 * time.Second
		a.openai.Inject(1, openaitest.Answer{Status: 429, RetryAfter: pause})
		r := launch(t, "-upstream", a.url, "-limits", "m=rpm:1k")
		want(t, node.start(t, r.url, "chat")()[0], map[string]any{"attempts": 2, "text": answered})
		mu.Lock()
		defer mu.Unlock()
		if len(arrived) != 2 || arrived[1].Sub(arrived[0]) < pause {
			t.Errorf("the calls came at %v", arrived)
		}
	})

	// A call that waits while the proxy is replaced comes again by itself, and finds the next one.
	t.Run("restart", func(t *testing.T) {
		a := serveAPI(t, nil)
		first := launch(t, "-upstream", a.url, "-limits", "m=rpm:1")
		all(t, do(t, chat(t, first.url, "m")))
		service := balance(t)
		service.to <- first
		results := node.start(t, service.url, "chat")
		first.logged("ratelimiter: call waits")
		first.signal(syscall.SIGTERM)
		first.exit(exitOK)
		service.to <- launch(t, "-upstream", a.url, "-limits", "m=rpm:1")
		want(t, results()[0], map[string]any{"attempts": 2, "text": answered})
	})
}

// A balancer lets connections in one after another, as a Service of Kubernetes does, and each
// waits until there is a process for it.
type balancer struct {
	url string
	to  chan *running
}

func balance(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{url: "http://" + l.Addr().String(), to: make(chan *running, 1)}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				select {
				case r := <-b.to:
					server, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
					if err != nil {
						t.Error(err)
						return
					}
					defer server.Close()
					wg.Go(func() { _, _ = io.Copy(server, client); server.Close() })
					_, _ = io.Copy(client, server)
				case <-t.Context().Done():
				}
			})
		}
	})
	return b
}

func TestPython(t *testing.T) {
	if !long() {
		t.Skip("make test-sidecar runs it, for it needs Python")
	}
	python := app{"python3", "testdata/app.py"}
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url, "-limits", "m=rpm:2", "-max-wait", "1s")
	direct, through := python.start(t, a.url, "chat", "stream")(), python.start(t, r.url, "chat", "stream", "chat")()
	for i, result := range direct {
		want(t, through[i], result)
	}
	want(t, through[2], map[string]any{"status": 429, "code": "max_wait", "type": "ratelimiter"})
	if through[2]["retryAfter"] == nil {
		t.Error("there is no Retry-After")
	}
}
