package invisible

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A fate is what becomes of an SDK's requests.
type fate struct {
	name string
	// meet handles the request with a number, from 0 on, unless it returns false: then the
	// server answers as it does.
	meet func(w http.ResponseWriter, r *http.Request, n int64) bool
	left bool // the caller has, before the call
	// ends is how the caller's context ends, and within says when: once the program reads on
	// in the response, or else once the request has arrived.
	ends   func(context.Context) (context.Context, func())
	within bool
}

type arrivedKey struct{}

func withCancel(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) }

// A readingOn calls a function when a response's body is read again after it has given
// something.
type readingOn struct {
	http.RoundTripper
	again func()
}

func (b *readingOn) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = &readBody{ReadCloser: resp.Body, again: b.again}
	}
	return resp, err
}

type readBody struct {
	io.ReadCloser
	begun bool
	again func()
}

func (b *readBody) Read(p []byte) (int, error) {
	if b.begun {
		b.again()
	}
	n, err := b.ReadCloser.Read(p)
	b.begun = b.begun || n > 0
	return n, err
}

// A deadlineContext has a deadline that is over when it is told so.
type deadlineContext struct {
	context.Context
	done chan struct{}
	once sync.Once
}

func withDeadline(ctx context.Context) (context.Context, func()) {
	c := &deadlineContext{Context: ctx, done: make(chan struct{})}
	return c, func() { c.once.Do(func() { close(c.done) }) }
}

func (c *deadlineContext) Done() <-chan struct{} { return c.done }

func (c *deadlineContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// refuse answers with a failure in OpenAI's form, which may be tried again at once.
func refuse(w http.ResponseWriter, r *http.Request, status int, code string) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After-Ms", "1")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":"a failure of status %d","type":%q,"param":null,"code":%q}}`, status, code, code)
	return true
}

func fates() []fate {
	first := func(status int, code string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, r *http.Request, n int64) bool {
			return n == 0 && refuse(w, r, status, code)
		}
	}
	always := func(status int, code string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, r *http.Request, _ int64) bool { return refuse(w, r, status, code) }
	}
	write := func(header map[string]string, status int, pieces ...string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, r *http.Request, _ int64) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			for _, piece := range pieces {
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
			}
			return true
		}
	}
	cut := func(pieces ...string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, r *http.Request, n int64) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			if len(pieces) > 0 {
				write(map[string]string{"Content-Type": "text/event-stream"}, 200, pieces...)(w, r, n)
			}
			panic(http.ErrAbortHandler)
		}
	}
	wait := func(pieces ...string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, r *http.Request, n int64) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			if len(pieces) > 0 {
				write(map[string]string{"Content-Type": "text/event-stream"}, 200, pieces...)(w, r, n)
			}
			if arrived, ok := r.Context().Value(arrivedKey{}).(func()); ok {
				arrived()
			}
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // a response that ended now might still arrive
		}
	}
	zip := map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}
	return []fate{
		{name: "400", meet: always(400, "invalid_request_error")},
		{name: "401", meet: always(401, "invalid_api_key")},
		{name: "404", meet: always(404, "not_found")},
		{name: "409, then an answer", meet: first(409, "conflict")},
		{name: "429, then an answer", meet: first(429, "rate_limit_exceeded")},
		{name: "429 for ever", meet: always(429, "rate_limit_exceeded")},
		{name: "429 without a body", meet: write(map[string]string{"Retry-After-Ms": "1"}, 429)},
		{name: "out of money", meet: always(429, "insufficient_quota")},
		{name: "500, then an answer", meet: first(500, "server_error")},
		{name: "503 for ever", meet: always(503, "overloaded")},
		{name: "long failure", meet: write(map[string]string{"X-Should-Retry": "false", "Retry-After-Ms": "1"}, 429, `{"error":{"message":"`+strings.Repeat("long ", 20_000)+`","type":"tokens"}}`)},
		{name: "failure that is no JSON", meet: write(map[string]string{"Retry-After-Ms": "1"}, 502, "<html>bad gateway</html>")},
		{name: "zipped failure", meet: write(zip, 400, zipped(failure))},
		{name: "zipped answer", meet: write(zip, 200, zipped(thing))},
		{name: "no JSON", meet: write(map[string]string{"Content-Type": "application/json"}, 200, "<html>")},
		{name: "no body", meet: write(nil, 200)},
		{name: "204", meet: write(nil, 204)},
		{name: "redirect", meet: func(w http.ResponseWriter, r *http.Request, n int64) bool {
			if n > 0 {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, r.URL.Path+"?again", http.StatusTemporaryRedirect)
			return true
		}},
		{name: "redirect to a GET", meet: func(w http.ResponseWriter, r *http.Request, n int64) bool {
			if n > 0 {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, r.URL.Path+"?again", http.StatusFound)
			return true
		}},
		{name: "early hints", meet: func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
			w.WriteHeader(http.StatusEarlyHints)
			return false
		}},
		{name: "error in a stream", meet: write(map[string]string{"Content-Type": "text/event-stream"}, 200, events()[0],
			"data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":\"server_error\"}}\n\n")},
		{name: "stream that is cut", meet: cut(events()[:2]...)},
		{name: "cut before the response", meet: cut()},
		{name: "caller leaves before the response", meet: wait(), ends: withCancel},
		{name: "caller has left", left: true},
		{name: "caller leaves within the response", meet: wait(events()[0]), ends: withCancel, within: true},
		{name: "deadline before the response", meet: wait(), ends: withDeadline},
		{name: "deadline within the response", meet: wait(events()[0]), ends: withDeadline, within: true},
	}
}

// On endpoints that are limited, whatever becomes of a request is what it is without us: the
// attempts on the wire, results, errors.
func TestFates(t *testing.T) {
	meets := map[string][]string{
		"openai-go": {"Chat.Completions.New", "Chat.Completions.NewStreaming", "Responses.New", "Responses.NewStreaming",
			"Embeddings.New", "Images.Edit", "Audio.Speech.New", "Audio.Transcriptions.New", "Files.New"},
		"go-openai":   {"CreateChatCompletion", "CreateChatCompletionStream", "CreateEmbeddings", "CreateSpeech", "CreateTranscription", "CreateFileBytes"},
		"langchaingo": {"Chat", "Stream", "Embed"},
		"eino":        {"Chat", "Stream", "Embed"},
	}
	for _, protocol := range []string{plain, tls2} {
		s := newServer(t, protocol)
		for _, sdk := range sdks(t) {
			for _, f := range fates() {
				if f.within && sdk.name == "langchaingo" {
					continue // whether it says that its caller has left depends on which of its goroutines is faster
				}
				t.Run(fmt.Sprint(sdk.name, " over ", protocol, "/", f.name), func(t *testing.T) {
					names := meets[sdk.name]
					if protocol == tls2 {
						names = names[:2] // the others' bodies differ, which HTTP/2 doesn't mind
					}
					for _, name := range names {
						s.compareFate(t, &sdk, &f, name)
					}
				})
			}
		}
	}
}

func (s *server) compareFate(t *testing.T, sdk *sdk, f *fate, name string) {
	sdk.compare(t, s.url, func(w way[any]) outcome {
		var requests atomic.Int64
		var said string
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		end := func() {}
		if f.ends != nil {
			ctx, end = f.ends(ctx)
		}
		if f.left {
			cancel()
		}
		tape := s.play(t, func(w http.ResponseWriter, r *http.Request) {
			if !f.within {
				r = r.WithContext(context.WithValue(r.Context(), arrivedKey{}, end))
			}
			if n := requests.Add(1) - 1; f.meet == nil || !f.meet(w, r, n) {
				new(generic).ServeHTTP(w, r)
			}
		}, func(base *client) {
			var under http.RoundTripper = base
			if f.within {
				under = &readingOn{base, end}
			}
			found, order := methods(w.over(under))
			for _, group := range order {
				for _, m := range found[group] {
					if m.name == name {
						said = m.try(ctx, sdk.filler(), sdk.args[name])
					}
				}
			}
		})
		if said == "" {
			t.Fatalf("there is no %s", name)
		}
		// A failure that the limiter has read to its end gives its connection back, which
		// openai-go alone breaks off: so connections are not compared.
		return outcome{"the wire": s.sent(t, tape), "the program": name + "\n" + normal(said)}
	})
}
