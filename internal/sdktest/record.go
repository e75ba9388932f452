package sdktest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A reply is what the scripted server does with a request.
type reply struct {
	status int
	header map[string]string
	body   []string // each piece is flushed
	// then is what follows the body, or comes in its place: nothing, "cut" or "hang"
	// until the caller leaves.
	then string
}

// An exchange is a request as it came over the wire, and how it ended for the server.
type exchange struct {
	line             string // method, target, version, host
	header           string // sorted
	length           int64
	transferEncoding string
	body             string
	connection       int  // its number
	left             bool // the caller did, before the reply was over
}

// An outcome is all that can be seen of a scenario from outside.
type outcome struct {
	wire   []exchange
	result string
	chunks []string
	errs   []string // the chain of the error, its types and texts
}

// A scripted server answers requests with replies in turn, and writes down what it
// was sent. The last reply is that to all further ones.
type scripted struct {
	replies []reply
	arrived chan struct{} // a request has
	handled sync.WaitGroup

	mu          sync.Mutex
	wire        []exchange
	connections []string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handled.Add(1)
	defer s.handled.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	x := exchange{
		line:             fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Proto, " ", r.Host),
		length:           r.ContentLength,
		transferEncoding: strings.Join(r.TransferEncoding, ","),
		body:             string(body),
	}
	var header []string
	for name, values := range r.Header {
		header = append(header, fmt.Sprint(name, ": ", strings.Join(values, " | ")))
	}
	slices.Sort(header)
	x.header = strings.Join(header, "\n")
	// The boundary of a form is random, and of one length.
	if _, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && params["boundary"] != "" {
		x.header = strings.ReplaceAll(x.header, params["boundary"], "BOUNDARY")
		x.body = strings.ReplaceAll(x.body, params["boundary"], "BOUNDARY")
	}
	s.mu.Lock()
	if !slices.Contains(s.connections, r.RemoteAddr) {
		s.connections = append(s.connections, r.RemoteAddr)
	}
	x.connection = slices.Index(s.connections, r.RemoteAddr)
	at := len(s.wire)
	s.wire = append(s.wire, x)
	reply := s.replies[min(at, len(s.replies)-1)]
	s.mu.Unlock()
	s.arrived <- struct{}{}

	left := func() {
		s.mu.Lock()
		s.wire[at].left = true
		s.mu.Unlock()
	}
	if reply.status != 0 {
		h := w.Header()
		h["Date"] = []string{"Mon, 02 Jan 2006 15:04:05 GMT"}
		for name, value := range reply.header {
			h.Set(name, value)
		}
		w.WriteHeader(reply.status)
		for _, piece := range reply.body {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}
	switch reply.then {
	case "cut":
		panic(http.ErrAbortHandler)
	case "hang":
		<-r.Context().Done()
		left()
	}
}

// A scenario is what a server does and what a program does.
type scenario struct {
	name    string
	replies []reply
	// call makes the call. cancel is that of its context, and arrived is sent a value
	// for each request that the server has read.
	call func(ctx context.Context, cancel func(), arrived <-chan struct{}, c Client, o *outcome) error
}

func chat(ctx context.Context, _ func(), _ <-chan struct{}, c Client, o *outcome) (err error) {
	o.result, err = c.Chat(ctx, Chat{MaxTokens: 50})
	return err
}

// stream reads a stream, and ends it after some chunks where end is set.
func stream(usage bool, after int, end func(s Stream, cancel func())) func(context.Context, func(), <-chan struct{}, Client, *outcome) error {
	return func(ctx context.Context, cancel func(), _ <-chan struct{}, c Client, o *outcome) error {
		s := c.Stream(ctx, Chat{MaxTokens: 50, Usage: usage})
		defer s.Close()
		for s.Next() {
			o.chunks = append(o.chunks, s.Chunk())
			if len(o.chunks) == after && end != nil {
				end(s, cancel)
			}
		}
		return s.Err()
	}
}

func scenarios() []scenario {
	typeJSON := map[string]string{"Content-Type": "application/json", "X-Request-Id": "req_1"}
	typeEvents := map[string]string{"Content-Type": "text/event-stream"}
	with := func(header map[string]string, more ...string) map[string]string {
		out := maps.Clone(header)
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	failure := func(status int, kind string) reply {
		return reply{status: status, header: with(typeJSON, "Retry-After-Ms", "1"),
			body: []string{fmt.Sprintf(`{"error":{"message":"a failure of status %d","type":%q,"param":null,"code":%q}}`, status, kind, kind)}}
	}
	chatAnswer := reply{status: 200, header: with(typeJSON, "X-Ratelimit-Limit-Requests", "10000", "X-Ratelimit-Remaining-Requests", "9999", "X-Ratelimit-Reset-Requests", "6ms"),
		body: []string{`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"An author – né Korzeniowski."},"finish_reason":"stop"}],`,
			`"usage":{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20}}`}}
	var events []string
	for i, word := range []string{"An ", "author.", ""} {
		finish := "null"
		if i == 2 {
			finish = `"stop"`
		}
		events = append(events, fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":%s}]}\n\n", word, finish))
	}
	events = append(events, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"total_tokens\":15}}\n\n")
	whole := append(slices.Clone(events), "data: [DONE]\n\n")
	inStream := "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":\"server_error\"}}\n\n"

	audio := strings.Repeat("sound\x00\xff", 1000)
	leave := func(_ Stream, cancel func()) { cancel() }
	return []scenario{
		{"chat", []reply{chatAnswer}, chat},
		{"stream", []reply{{status: 200, header: typeEvents, body: whole}}, stream(true, 0, nil)},
		{"stream without usage", []reply{{status: 200, header: typeEvents, body: append(slices.Clone(events[:3]), "data: [DONE]\n\n")}}, stream(false, 0, nil)},
		{"stream in one piece", []reply{{status: 200, header: typeEvents, body: []string{strings.Join(whole, "")}}}, stream(true, 0, nil)},
		{"400", []reply{failure(400, "invalid_request_error")}, chat},
		{"400 of a stream", []reply{failure(400, "invalid_request_error")}, stream(true, 0, nil)},
		{"401", []reply{failure(401, "invalid_api_key")}, chat},
		{"429, then an answer", []reply{failure(429, "rate_limit_exceeded"), chatAnswer}, chat},
		{"429 for ever", []reply{failure(429, "rate_limit_exceeded")}, chat},
		{"429 without a body", []reply{{status: 429, header: map[string]string{"Retry-After-Ms": "1"}}}, chat},
		{"out of money", []reply{failure(429, "insufficient_quota")}, chat},
		{"long error", []reply{{status: 429, header: with(typeJSON, "X-Should-Retry", "false"),
			body: []string{`{"error":{"message":"` + strings.Repeat("long ", 20_000), `","type":"tokens","code":"rate_limit_exceeded"}}`}}}, chat},
		{"500, then an answer", []reply{failure(500, "server_error"), chatAnswer}, chat},
		{"500, then a stream", []reply{failure(500, "server_error"), {status: 200, header: typeEvents, body: whole}}, stream(true, 0, nil)},
		{"not JSON", []reply{{status: 200, header: typeJSON, body: []string{"<html>"}}}, chat},
		{"error in a stream", []reply{{status: 200, header: typeEvents, body: []string{events[0], inStream}}}, stream(true, 0, nil)},
		{"stream that is cut", []reply{{status: 200, header: typeEvents, body: events[:2], then: "cut"}}, stream(true, 0, nil)},
		{"caller leaves a stream", []reply{{status: 200, header: typeEvents, body: events[:2], then: "hang"}}, stream(true, 2, leave)},
		{"caller closes a stream", []reply{{status: 200, header: typeEvents, body: events[:2], then: "hang"}}, stream(true, 2, func(s Stream, _ func()) { _ = s.Close() })},
		{"caller leaves before the response", []reply{{then: "hang"}},
			func(ctx context.Context, cancel func(), arrived <-chan struct{}, c Client, o *outcome) error {
				go func() {
					<-arrived
					cancel()
				}()
				return chat(ctx, nil, nil, c, o)
			}},
		{"caller has left", []reply{chatAnswer},
			func(ctx context.Context, cancel func(), _ <-chan struct{}, c Client, o *outcome) error {
				cancel()
				return chat(ctx, nil, nil, c, o)
			}},
		{"embeddings", []reply{{status: 200, header: typeJSON, body: []string{`{"object":"list","model":"text-embedding-3-small","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],"usage":{"prompt_tokens":2,"total_tokens":2}}`}}},
			func(ctx context.Context, _ func(), _ <-chan struct{}, c Client, o *outcome) (err error) {
				o.result, err = c.Embed(ctx, "two words")
				return err
			}},
		{"form", []reply{{status: 200, header: typeJSON, body: []string{`{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":4,"total_tokens":18}}`}}},
			func(ctx context.Context, _ func(), _ <-chan struct{}, c Client, o *outcome) (err error) {
				o.result, err = c.Transcribe(ctx, strings.NewReader(audio))
				return err
			}},
		{"500, then an answer to a form", []reply{failure(500, "server_error"), {status: 200, header: typeJSON, body: []string{`{"text":"hello"}`}}},
			func(ctx context.Context, _ func(), _ <-chan struct{}, c Client, o *outcome) (err error) {
				o.result, err = c.Transcribe(ctx, strings.NewReader(audio))
				return err
			}},
		{"file", []reply{{status: 200, header: typeJSON, body: []string{`{"id":"file-1","object":"file","bytes":7000,"created_at":1,"filename":"batch.jsonl","purpose":"batch","status":"processed"}`}}},
			func(ctx context.Context, _ func(), _ <-chan struct{}, c Client, o *outcome) (err error) {
				o.result, err = c.Upload(ctx, []byte(audio))
				return err
			}},
	}
}

// recording makes the same calls with the SDK alone, with the limiter's Transport and
// with the adapter, against a server that does the same each time. Where nothing is
// limited nothing may differ: not a byte on the wire, not a result, a chunk or an
// error.
func recording(t *testing.T, sdk SDK) {
	for _, version := range []int{1, 2} {
		for _, s := range scenarios() {
			t.Run(fmt.Sprintf("HTTP%d/%s", version, s.name), func(t *testing.T) {
				compareRuns(t, sdk, s, version == 2)
			})
		}
	}
}

func compareRuns(t *testing.T, sdk SDK, s scenario, http2 bool) {
	var handler atomic.Pointer[scripted]
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
	ts.EnableHTTP2 = http2
	if http2 {
		ts.StartTLS()
	} else {
		ts.Start()
	}
	defer ts.Close()
	url := ts.URL + "/v1/"

	run := func(client func(base http.RoundTripper) Client) (o outcome) {
		base := ts.Client().Transport.(*http.Transport).Clone() // with connections of its own
		defer base.CloseIdleConnections()
		server := &scripted{replies: s.replies, arrived: make(chan struct{}, 16)}
		handler.Store(server)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := s.call(ctx, cancel, server.arrived, client(base), &o)
		for ; err != nil; err = errors.Unwrap(err) {
			o.errs = append(o.errs, fmt.Sprintf("%T: %v", err, err))
		}
		server.handled.Wait() // whom the caller has left notices
		o.wire = server.wire
		return o
	}
	want := run(func(base http.RoundTripper) Client { return sdk.Bare(&http.Client{Transport: base}, url) })
	if len(want.wire) == 0 && s.name != "caller has left" {
		t.Fatalf("the server was not asked: %q", want.errs)
	}

	for name, client := range map[string]func(*ratelimiter.Limiter, http.RoundTripper) Client{
		"Transport": func(l *ratelimiter.Limiter, base http.RoundTripper) Client { return sdk.Bare(l.Client(base), url) },
		"adapter":   func(l *ratelimiter.Limiter, base http.RoundTripper) Client { return sdk.Limited(l, base, url) },
	} {
		limiter := NewLimiter(t, &Book{})
		got := run(func(base http.RoundTripper) Client { return client(limiter, base) })
		compare(t, name+": result", got.result, want.result)
		compare(t, name+": chunks", strings.Join(got.chunks, "\n"), strings.Join(want.chunks, "\n"))
		compare(t, name+": error", strings.Join(got.errs, "\n"), strings.Join(want.errs, "\n"))
		if len(got.wire) != len(want.wire) {
			t.Errorf("%s: %d requests; want %d", name, len(got.wire), len(want.wire))
			continue
		}
		for i, w := range want.wire {
			g := got.wire[i]
			compare(t, name+": request", g.line, w.line)
			compare(t, name+": headers", g.header, w.header)
			compare(t, name+": body", g.body, w.body)
			compare(t, name+": transfer encoding", g.transferEncoding, w.transferEncoding)
			compare(t, name+": length", g.length, w.length)
			// A failure that the limiter has read to its end gives its connection back,
			// which openai-go alone breaks off.
			if g.connection > w.connection {
				t.Errorf("%s: connection %d; want %d", name, g.connection, w.connection)
			}
			compare(t, name+": the caller has left", fmt.Sprint(g.left), fmt.Sprint(w.left))
		}
		state, err := limiter.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range state.Scopes {
			if scope.InFlight != 0 || scope.Waiting != 0 {
				t.Errorf("%s: %+v is left", name, scope)
			}
		}
	}
}

// compare reports where two values differ.
func compare[T cmp.Ordered](t *testing.T, what string, got, want T) {
	t.Helper()
	if got == want {
		return
	}
	g, w := []byte(fmt.Sprint(got)), []byte(fmt.Sprint(want))
	n := 0
	for n < min(len(g), len(w)) && g[n] == w[n] {
		n++
	}
	from := max(0, bytes.LastIndexByte(g[:n], '\n'))
	cut := func(b []byte) []byte { return b[from:min(len(b), n+200)] }
	t.Errorf("%s: %q; want %q", what, cut(g), cut(w))
}
