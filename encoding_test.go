package ratelimiter_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// compressors make bodies of each Content-Encoding. "flip" stands for those whose decoder
// an option brings.
var compressors = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"Deflate": func(w io.Writer) io.WriteCloser {
		f, _ := flate.NewWriter(w, flate.BestSpeed)
		return f
	},
	"flip":     func(w io.Writer) io.WriteCloser { return flipWriter{w} },
	"identity": func(w io.Writer) io.WriteCloser { return plainWriter{w} },
	"utf-8":    func(w io.Writer) io.WriteCloser { return plainWriter{w} },
	"none":     func(w io.Writer) io.WriteCloser { return plainWriter{w} },
	"chunked":  func(w io.Writer) io.WriteCloser { return plainWriter{w} }, // whatever it is
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

type flipWriter struct{ io.Writer }

func (f flipWriter) Write(p []byte) (int, error) { return f.Writer.Write(flipped(p)) }
func (flipWriter) Close() error                  { return nil }

type flipReader struct{ io.Reader }

func (f flipReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	copy(p, flipped(p[:n]))
	return n, err
}

func flipped(p []byte) []byte {
	q := bytes.Clone(p)
	for i := range q {
		q[i] ^= 0xff
	}
	return q
}

func withFlip() ratelimiter.Option {
	return ratelimiter.WithDecoder("Flip", func(r io.Reader) (io.Reader, error) { return flipReader{r}, nil })
}

func compress(t testing.TB, encoding, body string) string {
	t.Helper()
	var b strings.Builder
	w := compressors[encoding](&b)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What a caller asks to be compressed it gets compressed, byte for byte; its usage and its
// refusals are read all the same.
func TestCompressedResponses(t *testing.T) {
	stream := "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}\n\ndata: [DONE]\n\n"
	long := `{"pad":"` + strings.Repeat("Who was Joseph Conrad? ", 20_000) + `","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`
	refusal := `{"error":{"message":"Rate limit reached. Please try again in 20s.","type":"tokens","code":"rate_limit_exceeded"}}`
	for encoding := range compressors {
		for name, c := range map[string]struct {
			status int
			typ    string
			body   string
		}{
			"document": {200, "application/json", usageBody},
			"long":     {200, "application/json", long},
			"stream":   {200, "text/event-stream", stream},
			"refusal":  {429, "application/json", refusal},
		} {
			t.Run(encoding+"/"+name, func(t *testing.T) {
				want := compress(t, encoding, c.body)
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", c.typ)
					w.Header().Set("Content-Encoding", encoding)
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(c.status)
					io.WriteString(w, want)
				}))
				defer srv.Close()
				var seen witness
				base := srv.Client().Transport.(*http.Transport)
				client := newLimiter(t, withFlip(), ratelimiter.WithAccount("a"), ratelimiter.WithTrace(seen.trace())).Client(base)
				req := newRequest(t, t.Context(), srv.URL+"/v1/chat/completions", strings.NewReader(chatBody("m", 5000, name == "stream")))
				req.Header.Set("Accept-Encoding", "gzip, deflate, flip")
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || string(got) != want || resp.Header.Get("Content-Encoding") != encoding {
					t.Errorf("%d bytes are not the %d that were sent: %v", len(got), len(want), err)
				}
				resp.Body.Close()
				base.CloseIdleConnections()
				if c.status == 429 {
					if len(seen.paused) != 1 || seen.paused[0].For != 20*time.Second {
						t.Errorf("%+v", seen.paused)
					}
					return
				}
				if len(seen.settled) != 1 || !seen.settled[0].HasUsage || seen.settled[0].Final.Tokens != 12 {
					t.Errorf("%+v", seen.settled)
				}
			})
		}
	}
}

// What is flushed is metered when it comes, and read in pieces of any size; a body that is
// broken, unknown or closed early passes as it is.
func TestCompressedStreamIsMeteredAsItComes(t *testing.T) {
	r, w := io.Pipe()
	var seen witness
	resp, err := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(seen.trace())).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		resp := response(200, "text/event-stream", r)
		resp.Header.Set("Content-Encoding", "gzip")
		return resp, nil
	})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 100, true))))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		z := gzip.NewWriter(w)
		io.WriteString(z, "data: {\"usage\":{\"total_tokens\":12}}\n\ndata: [DONE]\n\n")
		z.Flush()
	}()
	for p := make([]byte, 1); len(seen.settled) == 0; {
		if _, err := resp.Body.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	if seen.settled[0].Final.Tokens != 12 {
		t.Errorf("%+v", seen.settled)
	}
	resp.Body.Close()
}

func TestBrokenEncodings(t *testing.T) {
	for name, c := range map[string]struct{ encoding, body string }{
		"broken":   {"gzip", "\x1f\x8b\x08\x00 this is no gzip"},
		"cut":      {"gzip", compress(t, "gzip", usageBody)[:20]},
		"unknown":  {"br", "\x1b\x00" + usageBody},
		"hostile":  {strings.Repeat("gzip,", 100), compress(t, "gzip", usageBody)},
		"declared": {"gzip", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, got := respond(t, says(200, "Content-Encoding: "+c.encoding, c.body), chatBody("m", 5000, false),
				ratelimiter.WithDecoder("never", func(io.Reader) (io.Reader, error) { return nil, io.ErrUnexpectedEOF }))
			if got != c.body {
				t.Errorf("%q", got)
			}
			if s := w.settled[0]; s.HasUsage || s.Final != s.Charged {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A request's cost is read through its encoding; what is sent is as it was.
func TestCompressedRequests(t *testing.T) {
	body := chatBody("gpt-4o", 5000, true)
	plain := acquire(t, newLimiter(t, ratelimiter.WithAccount("a")), ratelimiter.Chat{Model: "gpt-4o", MaxTokens: 5000,
		Messages: []ratelimiter.Message{{Role: "user", Content: "Who is Joseph Conrad?"}}})
	for encoding := range compressors {
		sent := compress(t, encoding, body)
		cost, got := costOfRequest(t, encoding, sent, withFlip(), ratelimiter.WithStreamUsage())
		if cost != plain.Cost() {
			t.Errorf("%s: %+v, want %+v", encoding, cost, plain.Cost())
		}
		if plain := sent == body && encoding != "chunked"; !plain && got != sent || plain && !strings.Contains(got, "stream_options") {
			t.Errorf("%s: sent as %q", encoding, got)
		}
	}
	if cost, got := costOfRequest(t, "br", "\x1b\x00"+body); cost != (ratelimiter.Cost{Requests: 1}) || got != "\x1b\x00"+body {
		t.Errorf("unknown: %+v, %q", cost, got)
	}
	// A bomb is read up to the cap.
	var bomb strings.Builder
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	io.WriteString(z, `{"model":"m","pad":"`)
	pad := strings.Repeat("x", 1<<20)
	for range 70 {
		io.WriteString(z, pad)
	}
	z.Close()
	if cost, got := costOfRequest(t, "gzip", bomb.String()); cost.Requests != 1 || got != bomb.String() {
		t.Errorf("a bomb: %+v", cost)
	}
}

// costOfRequest returns what a request is charged, and the body that is sent.
func costOfRequest(t *testing.T, encoding, body string, options ...ratelimiter.Option) (cost ratelimiter.Cost, sent string) {
	t.Helper()
	l := newLimiter(t, append(options, ratelimiter.WithAccount("a"))...)
	ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
		Started: func(_ context.Context, i ratelimiter.StartedInfo) { cost = i.Cost },
	})
	req := newRequest(t, ctx, chatURL, strings.NewReader(body))
	req.Header.Set("Content-Encoding", encoding)
	resp, err := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		sent = string(b)
		return response(200, "application/json", io.NopCloser(strings.NewReader(usageBody))), err
	})).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return cost, sent
}

func TestDecoderOption(t *testing.T) {
	for name, o := range map[string]ratelimiter.Option{
		"nil":      ratelimiter.WithDecoder("br", nil),
		"empty":    ratelimiter.WithDecoder("", func(r io.Reader) (io.Reader, error) { return r, nil }),
		"identity": ratelimiter.WithDecoder("Identity", func(r io.Reader) (io.Reader, error) { return r, nil }),
	} {
		if _, err := ratelimiter.New(o); err == nil {
			t.Errorf("%s: no fault", name)
		}
	}
}
