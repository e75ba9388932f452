package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.dir != "" {
			os.RemoveAll(built.dir)
		}
		os.Exit(code)
	}))
}

// built is the program, as it is shipped.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary builds the program, with the race detector if the tests have it.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "ratelimiter"); built.err != nil {
			return
		}
		args := []string{"build", "-o", built.dir + "/ratelimiter"}
		if raceEnabled {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir + "/ratelimiter"
}

// long reports whether to run what needs more than Go, or takes longer.
func long() bool { return os.Getenv("SIDECAR_LONG") != "" }

// patience bounds what a test waits for that does not come. Nothing is measured by it.
const patience = time.Minute

// secretKey is the API key of all tests: no log, status or metric may show it.
const secretKey = "sk-proj-secret0123456789"

// secretPassword is the same of Redis's, in a URL or not.
const secretPassword = "secretpassword"

// A running is the program as a process.
type running struct {
	t          testing.TB
	cmd        *exec.Cmd
	url, admin string
	exited     chan struct{}

	mu      sync.Mutex
	lines   []map[string]any
	text    bytes.Buffer // of all lines
	changed chan struct{}
}

// launch starts the program on free ports and waits until it listens.
func launch(t testing.TB, args ...string) *running {
	t.Helper()
	return attach(t, exec.Command(binary(t), append([]string{
		"-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-log-format", "json", "-log-level", "debug"}, args...)...))
}

// attach starts a command and reads its log.
func attach(t testing.TB, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd, exited: make(chan struct{}), changed: make(chan struct{})}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go r.read(stderr)
	t.Cleanup(r.end)
	listens := r.logged("ratelimiter listens")
	r.url = "http://" + listens["address"].(string)
	if admin, ok := listens["admin"].(string); ok {
		r.admin = "http://" + admin
	}
	return r
}

// read takes in the log until the process ends.
func (r *running) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			line["msg"] = "no JSON: " + lines.Text()
		}
		r.mu.Lock()
		r.lines = append(r.lines, line)
		r.text.Write(lines.Bytes())
		r.text.WriteByte('\n')
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
	}
	_ = r.cmd.Wait()
	close(r.exited)
}

// end ends the process, and looks for what nobody may see.
func (r *running) end() {
	_ = r.cmd.Process.Kill()
	<-r.exited
	if r.t.Failed() {
		r.t.Logf("its log:\n%s", r.text.String())
	}
	for _, what := range []string{secretKey, secretPassword, "no JSON", "DATA RACE", "panic"} {
		if strings.Contains(r.text.String(), what) {
			r.t.Errorf("%q is in the log:\n%s", what, r.text.String())
		}
	}
}

// logged waits for the first line with the message and takes it out of the log.
func (r *running) logged(message string) map[string]any {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		for i, line := range r.lines {
			if line["msg"] == message {
				r.lines = append(r.lines[:i:i], r.lines[i+1:]...)
				r.mu.Unlock()
				return line
			}
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-r.exited:
			r.t.Fatalf("it ended and has not logged %q:\n%s", message, r.text.String())
		case <-deadline:
			r.t.Fatalf("it has not logged %q", message)
		}
	}
}

func (r *running) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// exit waits for the end of the process, and wants a status.
func (r *running) exit(status int) {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.signal(syscall.SIGQUIT) // which shows where it stands
		<-r.exited
		r.t.Fatalf("it does not end:\n%s", r.text.String())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		r.t.Errorf("it exited with %d, want %d", got, status)
	}
}

// get reads one of the admin's paths.
func (r *running) get(path string) (status int, body string) {
	r.t.Helper()
	resp, err := client(r.t).Get(r.admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	body = all(r.t, resp)
	if strings.Contains(body, secretKey) {
		r.t.Errorf("%s shows the API key: %s", path, body)
	}
	return resp.StatusCode, body
}

// client is one whose connections end with the test.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// all is a response's body.
func all(t testing.TB, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// chat returns a request that lasts as long as the test, or patience.
func chat(t testing.TB, url, model string, more ...string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	body := fmt.Sprintf(`{"model":%q,"max_completion_tokens":100,%s"messages":[{"role":"user","content":"hello"}]}`, model, strings.Join(more, ""))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+secretKey)
	return req
}

// do sends a request and wants a response.
func do(t testing.TB, req *http.Request) *http.Response {
	t.Helper()
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// An api is the stand-in for OpenAI on a socket, and what came there.
type api struct {
	url    string
	openai *openaitest.Server

	mu       sync.Mutex
	requests []*http.Request
}

// serveAPI starts one; wrap may stand between its socket and the stand-in, or be nil.
func serveAPI(t testing.TB, wrap func(http.Handler) http.Handler, options ...openaitest.Option) *api {
	a := &api{openai: openaitest.New(options...)}
	var h http.Handler = a.openai
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		a.mu.Lock()
		a.requests = append(a.requests, req.Clone(context.Background()))
		a.mu.Unlock()
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// came are the requests until now.
func (a *api) came() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// write makes a file of the test.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.TempDir(), path)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
