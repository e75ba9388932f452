package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Curl gets what it gets without the proxy, and the API what it got without it.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: apt-get install curl")
	}
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url, "-limits", "m=rpm:100,tpm:10k", "-classes", "batch=weight:0.5")
	body := `{"model":"m","max_completion_tokens":8,"messages":[{"role":"user","content":"hi"}]}`
	curl := func(base string) (*http.Request, string) { // the head without what differs from call to call
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "curl", "-sSi", "--max-time", "60", base+"/v1/chat/completions?a=1;b=%2f",
			"-H", "Authorization: Bearer "+secretKey, "-H", "Content-Type: application/json", "-H", "OpenAI-Project: p",
			"-H", "X-Ratelimit-Class: batch", "-H", "X-Ratelimit-Tenant: acme", "-H", "Connection: X-Hop", "-H", "X-Hop: 1",
			"-d", body).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		head, body, _ := strings.Cut(strings.ReplaceAll(string(out), "\r", ""), "\n\n")
		came := a.came()
		lines := strings.Split(values.ReplaceAllString(head, "$1: …"), "\n")
		slices.Sort(lines)
		return came[len(came)-1], strings.Join(lines, "\n") + "\n" + body
	}
	direct, want := curl(a.url)
	through, got := curl(r.url)
	for _, id := range []string{"chatcmpl-", `"created":`} { // these differ from call to call
		want, got = without(want, id), without(got, id)
	}
	if got != want {
		t.Errorf("curl got\n%s\nwant\n%s", got, want)
	}
	for _, name := range []string{"X-Ratelimit-Class", "X-Ratelimit-Tenant", "Connection", "X-Hop"} {
		direct.Header.Del(name)
	}
	if fmt.Sprint(through.Header) != fmt.Sprint(direct.Header) {
		t.Errorf("the API got\n%v\nwant\n%v", through.Header, direct.Header)
	}
	if through.RequestURI != direct.RequestURI || through.Host != strings.TrimPrefix(a.url, "http://") {
		t.Errorf("the API got %s of %s, want %s", through.RequestURI, through.Host, direct.RequestURI)
	}
	if started := r.logged("ratelimiter: call started")["ratelimiter"]; !strings.Contains(fmt.Sprint(started), "class:batch") ||
		!strings.Contains(fmt.Sprint(started), "tenant:acme") {
		t.Errorf("the call is %v", started)
	}
}

// values are those of headers that differ from call to call.
var values = regexp.MustCompile(`(?m)^(Date|X-Request-Id|Openai-Processing-Ms|X-Ratelimit-(?:Remaining|Reset)-\w+): .*`)

// without cuts out what follows a mark, up to the next character that ends a value.
func without(text, mark string) string {
	before, after, found := strings.Cut(text, mark)
	if !found {
		return text
	}
	return before + strings.TrimLeft(after, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
}

// gated lets a response's next write out when the test says so.
func gated(next chan struct{}) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			h.ServeHTTP(&gatedWriter{w, req.Context(), next}, req)
		})
	}
}

type gatedWriter struct {
	http.ResponseWriter
	ctx  context.Context
	next chan struct{}
}

func (w *gatedWriter) Write(b []byte) (int, error) {
	select {
	case <-w.next:
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
	n, err := w.ResponseWriter.Write(b)
	w.Flush()
	return n, err
}

func (w *gatedWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// Each event of a stream is there before the API writes the next.
func TestStreamChunkByChunk(t *testing.T) {
	next := make(chan struct{})
	a := serveAPI(t, gated(next))
	streamChunkByChunk(t, launch(t, "-upstream", a.url), next)
}

func streamChunkByChunk(t *testing.T, r *running, next chan struct{}) {
	t.Helper()
	go func() { next <- struct{}{} }()
	resp := do(t, chat(t, r.url, "m", `"stream":true,`))
	defer resp.Body.Close()
	var events int
	buf := make([]byte, 64<<10)
	for pending := ""; ; {
		n, err := resp.Body.Read(buf)
		pending += string(buf[:n])
		if strings.HasSuffix(pending, "\n\n") { // whole events: nothing more comes before the gate opens
			events += strings.Count(pending, "\n\n")
			if strings.Contains(pending, "[DONE]") {
				break
			}
			pending = ""
			select {
			case next <- struct{}{}:
			case <-time.After(patience):
				t.Fatal("the API does not write")
			}
		}
		if err != nil {
			t.Fatalf("after %d events: %v", events, err)
		}
	}
	if events < 5 {
		t.Errorf("%d events", events)
	}
}

// What the Transport does not know passes: other methods and paths, informational responses,
// trailers, and the upgrade to a WebSocket, over which SDKs talk to the Realtime API.
func TestPassesOn(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") == "websocket" {
			c, err := websocket.Accept(w, req, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			for {
				kind, message, err := c.Read(req.Context())
				if err != nil {
					return
				}
				if err := c.Write(req.Context(), kind, append([]byte(req.Header.Get("Authorization")+" "), message...)); err != nil {
					return
				}
			}
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Link", "</early>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Keep-Alive", "timeout=1")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", req.Method, req.RequestURI, body)
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	}))
	defer upstream.Close()
	r := launch(t, "-upstream", upstream.URL+"/base")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var early string
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		early = h.Get("Link")
		return nil
	}})
	req, err := http.NewRequestWithContext(traced, http.MethodPatch, r.url+"/v1/files/a%2Fb?purpose=x", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	resp := do(t, req)
	if body := all(t, resp); body != "PATCH /base/v1/files/a%2Fb?purpose=x text" || resp.StatusCode != http.StatusTeapot {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if early != "</early>" {
		t.Errorf("the early hint is %q", early)
	}
	if fmt.Sprint(resp.Trailer) != "map[X-Late:[2] X-Sum:[1]]" || resp.Header.Get("Keep-Alive") != "" {
		t.Errorf("trailers are %v, headers %v", resp.Trailer, resp.Header)
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := all(t, do(t, req)); body != "GET /base/metrics " {
		t.Errorf("the proxy keeps a path to itself: %q", body)
	}

	c, _, err := websocket.Dial(ctx, r.url+"/v1/realtime?model=gpt-realtime", &websocket.DialOptions{
		HTTPClient: client(t), HTTPHeader: http.Header{"Authorization": {"Bearer x"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	say := func(text string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != "Bearer x "+text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	say("one")
	r.signal(syscall.SIGTERM) // the connection may last for the grace
	r.logged("shutting down")
	say("two")
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	r.exit(0)
}

// A client that leaves takes its call out of the line.
func TestClientLeaves(t *testing.T) {
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url, "-limits", "m=rpm:1", "-account", "team")
	all(t, do(t, chat(t, r.url, "m")))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := client(t).Do(chat(t, r.url, "m").WithContext(ctx))
		left <- err
	}()
	r.logged("ratelimiter: call waits")
	r.shows(`"waiting":1`, `"account":"team"`)
	cancel()
	if err := <-left; err == nil {
		t.Error("it got a response")
	}
	r.logged("ratelimiter: call not started")
	r.shows(`"waiting":0`)
	if n := len(a.came()); n != 1 {
		t.Errorf("the API got %d requests, want 1", n)
	}
}

// What is rejected is an error in OpenAI's form, which tells SDKs whether to come again.
func TestRejections(t *testing.T) {
	a := serveAPI(t, nil)
	away := []string{"-redis", "redis://127.0.0.1:1"}
	for name, c := range map[string]struct {
		args     []string
		first    bool // a call comes before it and takes the budget
		waits    bool // and another waits
		upstream string
		status   int
		code     string
		retry    string // X-Should-Retry
		after    bool   // Retry-After
	}{
		"too large":  {args: []string{"-limits", "m=tpm:50"}, status: 429, code: "too_large", retry: "false"},
		"max wait":   {args: []string{"-limits", "m=rpm:1", "-max-wait", "1s"}, first: true, status: 429, code: "max_wait", retry: "false", after: true},
		"class":      {args: []string{"-limits", "m=rpm:1", "-classes", "batch=max-wait:1s"}, first: true, status: 429, code: "max_wait", retry: "false", after: true},
		"queue full": {args: []string{"-limits", "m=rpm:1", "-max-waiting", "1"}, first: true, waits: true, status: 429, code: "queue_full", retry: "false", after: true},
		"redis away": {args: away, status: 503, code: "backend", retry: "false"},
		"fail open":  {args: append(away, "-fail-open"), status: 200},
		"fallback":   {args: append(away, "-fallback", "rpm:60"), status: 200},
		"shadow":     {args: []string{"-limits", "m=tpm:50", "-shadow"}, status: 200},
		"no server":  {upstream: "http://127.0.0.1:1", status: 502, code: "upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := a.url
			if c.upstream != "" {
				upstream = c.upstream
			}
			r := launch(t, append([]string{"-upstream", upstream}, c.args...)...)
			if c.first {
				all(t, do(t, chat(t, r.url, "m")))
			}
			if c.waits {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				defer func() { cancel(); <-done }()
				go func() {
					defer close(done)
					if resp, err := client(t).Do(chat(t, r.url, "m").WithContext(ctx)); err == nil {
						resp.Body.Close()
					}
				}()
				r.logged("ratelimiter: call waits")
			}
			req := chat(t, r.url, "m")
			req.Header.Set("X-Ratelimit-Class", "batch")
			resp := do(t, req)
			body := all(t, resp)
			if resp.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.status, body)
			}
			if c.code == "" {
				return
			}
			var e struct{ Error openaitest.Error }
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error.Code != c.code || e.Error.Type != "ratelimiter" ||
				!strings.HasPrefix(e.Error.Message, "ratelimiter: ") || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%v: %s", err, body)
			}
			if c.code != "upstream" {
				level := "INFO"
				if c.code == "backend" {
					level = "WARN"
				}
				if l := r.logged("call rejected"); l["level"] != level || l["reason"] != c.code || l["error"] != e.Error.Message {
					t.Errorf("the log has %v", l)
				}
			}
			if got := resp.Header.Get("X-Should-Retry"); got != c.retry {
				t.Errorf("X-Should-Retry is %q, want %q", got, c.retry)
			}
			if got := resp.Header.Get("Retry-After"); (got != "") != c.after {
				t.Errorf("Retry-After is %q", got)
			}
		})
	}
}

// A stream that breaks off breaks off for the client too, and does not seem to end.
func TestStreamBreaksOff(t *testing.T) {
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url)
	a.openai.Inject(1, openaitest.Answer{Cut: true, After: 300})
	resp := do(t, chat(t, r.url, "m", `"stream":true,`))
	defer resp.Body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(resp.Body); err == nil || got.Len() == 0 {
		t.Errorf("%d bytes, and the error is %v", got.Len(), err)
	}
}

// So is each part of a file, whose length is known.
func TestFilePartByPart(t *testing.T) {
	next := make(chan struct{})
	upstream := httptest.NewServer(gated(next)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "a")
		_, _ = io.WriteString(w, "b")
	})))
	defer upstream.Close()
	r := launch(t, "-upstream", upstream.URL)
	go func() { next <- struct{}{} }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/files/f/content", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := do(t, req)
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil { // before the second is written
		t.Fatal(err)
	}
	next <- struct{}{}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "b" {
		t.Errorf("%q, %v", rest, err)
	}
}

// A large body of unknown length, which its client sends when it is asked to, arrives whole.
func TestLargeBody(t *testing.T) {
	a := serveAPI(t, nil)
	r := launch(t, "-upstream", a.url)
	req := chat(t, r.url, "m")
	text := strings.Repeat("hello ", 1<<20)
	body := fmt.Sprintf(`{"model":"m","max_completion_tokens":10,"messages":[{"role":"user","content":%q}]}`, text)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), -1
	req.Header.Set("Expect", "100-continue")
	c := client(t)
	c.Transport.(*http.Transport).ExpectContinueTimeout = patience
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Usage struct {
			PromptTokens int64 `json:"prompt_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(all(t, resp)), &answer); err != nil || answer.Usage.PromptTokens < 1<<20 {
		t.Errorf("%+v, %v", answer, err)
	}
	if got := a.came()[0].Header.Get("Expect"); got != "" { // the body is there: nobody has to be asked
		t.Errorf("Expect is %q", got)
	}
}

// Over TLS, which is how the API is reached, streams come by HTTP/2 and WebSockets by HTTP/1.1.
func TestTLS(t *testing.T) {
	next := make(chan struct{})
	api := gated(next)(openaitest.New())
	protocols := make(chan string, 2)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		protocols <- req.Proto
		if req.Header.Get("Upgrade") == "" {
			api.ServeHTTP(w, req)
			return
		}
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		if err := c.Write(req.Context(), websocket.MessageText, []byte("session.created")); err != nil {
			t.Error(err)
		}
		_, _, _ = c.Read(req.Context()) // until it is closed
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})))
	t.Setenv("SSL_CERT_FILE", ca)
	r := launch(t, "-upstream", upstream.URL, "-grace", "1ms")
	streamChunkByChunk(t, r, next)
	if got := <-protocols; got != "HTTP/2.0" {
		t.Errorf("the stream came by %s", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, r.url+"/v1/realtime", &websocket.DialOptions{HTTPClient: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, got, err := c.Read(ctx); err != nil || string(got) != "session.created" {
		t.Fatalf("%q, %v", got, err)
	}
	if got := <-protocols; got != "HTTP/1.1" {
		t.Errorf("the WebSocket came by %s", got)
	}
	r.signal(syscall.SIGTERM) // and the grace is over before it ends
	if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("it is not cut off: %v", err)
	}
	r.exit(exitFailed)
}
