package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// metric reads a family of metrics as Prometheus does.
func (r *running) metric(name string) *dto.MetricFamily {
	r.t.Helper()
	_, body := r.get("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if families[name] == nil {
		r.t.Fatalf("there is no %s in\n%s", name, body)
	}
	return families[name]
}

// status is what /status says, which may be a second old.
func (r *running) status() []ratelimiter.State {
	r.t.Helper()
	var all struct{ Accounts []ratelimiter.State }
	code, body := r.get("/status?format=json")
	if err := json.Unmarshal([]byte(body), &all); err != nil || code != http.StatusOK {
		r.t.Fatalf("%d, %v: %s", code, err, body)
	}
	return all.Accounts
}

// shows waits until /status has all of the parts.
func (r *running) shows(parts ...string) {
	r.t.Helper()
	body := ""
	has := func() bool {
		_, body = r.get("/status?format=json")
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(body, part) })
	}
	for began := time.Now(); !has(); {
		if time.Since(began) > time.Minute {
			r.t.Errorf("want %q in:\n%s", parts, body)
			return
		}
	}
}

func TestAdmin(t *testing.T) {
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url, "-limits", "m=rpm:10", "-limits", "n=tpm:1M")
	if s := r.status(); len(s) != 1 || len(s[0].Scopes) != 2 || !s[0].Scopes[0].Unused || s[0].Scopes[1].Limits[0].Limit != 1_000_000 {
		t.Errorf("before any call: %+v", s)
	}
	if limits := r.metric("ratelimiter_limit").GetMetric(); len(limits) != 2 || limits[0].GetGauge().GetValue()+limits[1].GetGauge().GetValue() != 1_000_010 {
		t.Errorf("before any call: %v", limits)
	}
	all(t, do(t, chat(t, r.url, "m")))
	other := chat(t, r.url, "m")
	other.Header.Set("Authorization", "Bearer other")
	all(t, do(t, other))
	s := r.status()
	for start := time.Now(); len(s) < 2 && time.Since(start) < time.Minute; {
		s = r.status()
	}
	if len(s) != 2 || s[0].Scopes[0].Limits[0].Remaining > 9 || s[1].Scopes[0].Limits[0].Remaining > 9 {
		t.Errorf("two keys are two accounts: %+v", s)
	}
	for _, m := range r.metric("ratelimiter_limit").GetMetric() {
		if got := fmt.Sprint(m.GetLabel()); !strings.Contains(got, "ratelimiter_account") {
			t.Errorf("a limit of no account, while two are known: %s", got)
		}
	}
	for _, m := range r.metric("ratelimiter_requests_total").GetMetric() {
		if got := fmt.Sprint(m.GetLabel()); m.GetCounter().GetValue() != 1 || !strings.Contains(got, `"started"`) {
			t.Errorf("%v %s", m, got)
		}
	}
	r.metric("go_goroutines")
	r.metric("process_open_fds")
	if code, body := r.get("/"); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the address without a path shows %d: %.100s", code, body)
	}
	if code, _ := r.get("/other"); code != http.StatusNotFound {
		t.Errorf("a path that there is not is %d", code)
	}

	binary := binary(t)
	address := strings.TrimPrefix(r.admin, "http://")
	if out, err := exec.Command(binary, "healthcheck", address).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("healthcheck: %v %s", err, out)
	}
	if out, err := exec.Command(binary, "healthcheck", "127.0.0.1:1").CombinedOutput(); err == nil || len(out) == 0 {
		t.Errorf("healthcheck of nobody: %v %s", err, out)
	}

	for _, c := range []struct {
		method, host string
		want         int
	}{
		{http.MethodGet, address, 200},
		{http.MethodHead, "localhost", 200},
		{http.MethodGet, "[::1]:1", 200},
		{http.MethodGet, "rebound.example.com", 403}, // a page in a browser
		{http.MethodGet, "10.0.0.1:8081", 403},
		{http.MethodPost, address, 405},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, r.admin+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		if resp := do(t, req); all(t, resp) == "" && c.method != http.MethodHead || resp.StatusCode != c.want {
			t.Errorf("%s by %s is %d, want %d", c.method, c.host, resp.StatusCode, c.want)
		}
	}
}

func TestAdminOff(t *testing.T) {
	r := launch(t, "-admin", "off")
	if r.admin != "" {
		t.Errorf("it listens at %s", r.admin)
	}
}

// Responses that the client has asked to be compressed pass byte for byte, and are charged by
// their usage all the same.
func TestCompressedResponses(t *testing.T) {
	encoders := map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			e, err := zstd.NewWriter(w)
			if err != nil {
				t.Error(err)
			}
			return e
		},
	}
	const prompt, output = 11, 22
	for name, encoder := range encoders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent bytes.Buffer
			a := serveAPI(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if got := req.Header.Get("Accept-Encoding"); got != name {
						t.Errorf("the API is asked for %q", got)
					}
					e := encoder(io.MultiWriter(w, &sent))
					w.Header().Set("Content-Encoding", name)
					h.ServeHTTP(&encodingWriter{w, e}, req)
					if err := e.Close(); err != nil {
						t.Error(err)
					}
				})
			})
			a.openai.Inject(1, openaitest.Answer{PromptTokens: prompt, OutputTokens: output})
			r := launch(t, "-upstream", a.url)
			req := chat(t, r.url, "m")
			req.Header.Set("Accept-Encoding", name)
			resp := do(t, req)
			if body := all(t, resp); body != sent.String() || resp.Header.Get("Content-Encoding") != name {
				t.Errorf("got %q, want %q", body, sent.String())
			}
			settled := fmt.Sprint(r.logged("ratelimiter: call settled")["ratelimiter"])
			if want := fmt.Sprintf("final:map[requests:1 tokens:%d]", prompt+output); !strings.Contains(settled, want) {
				t.Errorf("settled %s, want %s", settled, want)
			}
		})
	}
}

type encodingWriter struct {
	http.ResponseWriter
	to io.Writer
}

func (w *encodingWriter) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}

func (w *encodingWriter) Write(b []byte) (int, error) { return w.to.Write(b) }
func (w *encodingWriter) Flush()                      {}
